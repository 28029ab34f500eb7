"""Parameter Store: the tree of settings that owners write."""

from typing import TYPE_CHECKING

from keyward.compiling import EXEMPTIONS, Parameter
from keyward.errors import GatewayError
from keyward.gateways.translate import translated

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient

PAGE_SIZE = 10
"""GetParametersByPath gives ten at most.

Source: https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParametersByPath.html
"""

STANDARD_BYTES = 4096
ADVANCED_BYTES = 8192
"""How much a parameter holds in each tier; an advanced one costs money.

Source: https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-advanced-parameters.html
"""


class SsmGateway:
    """Reads the tree, and writes exemptions. Every method raises GatewayError."""

    def __init__(self, client: "SSMClient") -> None:
        self._client = client

    def parameters(self, path: str) -> dict[str, Parameter]:
        """Every parameter under `path`, by name; never a part of them.

        Nothing is decrypted: settings are no secrets, and a SecureString is refused as unreadable.
        """
        found = {}
        with translated(f"GetParametersByPath {path}"):
            for page in self._client.get_paginator("get_parameters_by_path").paginate(
                Path=path,
                Recursive=True,
                WithDecryption=False,
                PaginationConfig={"PageSize": PAGE_SIZE},
            ):
                for parameter in page["Parameters"]:
                    name = parameter["Name"]
                    found[name] = Parameter(
                        name=name,
                        version=parameter["Version"],
                        value=parameter["Value"],
                        modified=parameter.get("LastModifiedDate"),
                    )
        return found

    def put_exemption(self, exemption: str, value: str) -> str:
        """Writes a new exemption; its parameter's name. Its JSON stays under 4 KB.

        Raises GatewayError, of code ParameterAlreadyExists where the id is taken.
        """
        return self.put(f"{EXEMPTIONS}{exemption}", value, replace=False)

    def put(self, name: str, value: str, *, replace: bool) -> str:
        """Writes a parameter, as an advanced one where it needs that; its name."""
        advanced = len(value.encode()) > STANDARD_BYTES
        with translated(f"PutParameter {name}"):
            self._client.put_parameter(
                Name=name,
                Value=value,
                Type="String",
                Overwrite=replace,
                Tier="Advanced" if advanced else "Standard",
            )
        return name

    def delete(self, name: str) -> None:
        """Deletes a parameter. Already gone is a success."""
        try:
            with translated(f"DeleteParameter {name}"):
                self._client.delete_parameter(Name=name)
        except GatewayError as error:
            if error.code != "ParameterNotFound":
                raise
