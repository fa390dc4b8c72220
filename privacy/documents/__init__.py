"""Documents that the law asks for, generated from a policy: notices, impact assessments, agreements (docs/pipl.md).

They are drafts to be reviewed by counsel. What software cannot know is left as a place for a human, and what was
published is compared with what the live policy says.
"""

from privacy.documents.agreement import agreement_of
from privacy.documents.assessment import assessment_of
from privacy.documents.drift import Drift, DriftKind, documents_of, drift
from privacy.documents.gaps import notice_gaps
from privacy.documents.material import Flow, Material
from privacy.documents.notice import notice_of
from privacy.documents.page import Document, is_untouched, open_places

__all__ = [
    "Document",
    "Drift",
    "DriftKind",
    "Flow",
    "Material",
    "agreement_of",
    "assessment_of",
    "documents_of",
    "drift",
    "is_untouched",
    "notice_gaps",
    "notice_of",
    "open_places",
]
