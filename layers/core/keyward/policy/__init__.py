"""What IAM policy documents grant: whether who holds them is admin, or can become so, and how.

Pure: documents in, verdict out. `analyse` asks of several documents together, `contributes` of one
whether it can matter at all.
"""

from keyward.policy.analysis import Analysis, Grant, analyse, contributes
from keyward.policy.paths import Reach

__all__ = ["Analysis", "Grant", "Reach", "analyse", "contributes"]
