"""What several tests use."""

import warnings

import pytest
from harness import DATA, Project

pytest_plugins = ["servers.fixtures"]
# Its assertions are the tests' own, and say what they have seen.
pytest.register_assert_rewrite("drivers.features")


def skip_loudly(reason):
    """Skip the test, with a warning that pytest's summary shows."""
    warnings.warn(f"SKIPPED: {reason}", stacklevel=2)
    pytest.skip(reason)


@pytest.fixture
def project(tmp_path):
    """An empty project whose lake is a directory beside it."""
    return Project(tmp_path).write({"cordada.yml": "name: acme\nlake: ./lake\n"})


@pytest.fixture(scope="session")
def online_retail_data():
    """The folder of the UCI Online Retail files."""
    folder = DATA / "online_retail"
    if not folder.is_dir():
        skip_loudly(f"no Online Retail files in {folder}; set CORDADA_TEST_DATA to the folder that has them")
    return folder
