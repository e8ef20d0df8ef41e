import pytest

from llamalab.tokenizer import BPETokenizer
from tests.runs.small import STORIES


@pytest.fixture(scope="session")
def tokenizer():
    """Of the small runs' stories. A test module may have its own instead."""
    return BPETokenizer.train(STORIES, 290)
