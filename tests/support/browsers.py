"""What browser tests have in common: they are marked, and skipped visibly where there is no Chromium."""

import pytest

from deployments.rehearsal.prefect_ui import find_chromium

BROWSER = [
    pytest.mark.browser,
    pytest.mark.skipif(
        find_chromium() is None, reason="no Chromium on the PATH; Debian has it in the package chromium"
    ),
]
"""For `pytestmark`."""
