"""`[resources]` of a CSMS: where files and the authority are, and what is wrong with them, by field."""

from pathlib import Path

import pytest

from forecourt.app.config import ConfigError, parse
from forecourt.app.csms import CsmsFile
from forecourt.app.csms_resources import Resources, ports_of
from forecourt.csms.settings import CsmsSettings
from forecourt.net.authority import HttpAuthority, LocalAuthority

SETTINGS = CsmsSettings()


def test_left_out_everything_is_beside_the_database(tmp_path: Path) -> None:
    ports = ports_of(Resources(), SETTINGS, f"sqlite:///{tmp_path}/csms.sqlite")
    assert isinstance(ports["authority"], LocalAuthority)
    assert ports["authority"].root_file == tmp_path / "authority" / "root.pem"
    assert (tmp_path / "files").is_dir()
    # Nothing is made before it is needed.
    assert not (tmp_path / "authority").exists()


def test_paths_are_beside_the_file_and_another_authority_has_its_token(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("secret\n")
    text = """
    [resources]
    files = "kept"
    authority_url = "https://ca.example.com/sign"
    authority_root = "root.pem"
    authority_token_file = "token"
    """
    settings = parse(text, CsmsFile, source="csms.toml").beside(tmp_path)
    ports = ports_of(settings.resources, SETTINGS, "postgresql://nowhere")
    assert isinstance(ports["authority"], HttpAuthority)
    assert (tmp_path / "kept").is_dir()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[resources]\nauthority_url = "https://a"', "authority_root: is needed with authority_url"),
        ('[resources]\nfile = "x"', 'resources.file: no such field; did you mean "files"?'),
        ("[csms.resources]\nlargest_log = 0", "largest_log: must be more than 0"),
        ('[csms.resources]\nfiles_url = "here"', "files_url: must begin with http"),
    ],
)
def test_what_is_wrong_names_its_field(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse(text, CsmsFile, source="csms.toml")
    assert said in str(error.value)


def test_a_folder_that_cannot_be_made_and_a_token_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(ConfigError, match=r"resources\.files"):
        ports_of(Resources(files=str(tmp_path / "taken" / "x")), SETTINGS, "")
    elsewhere = Resources(
        files=str(tmp_path / "files"),
        authority_url="https://a",
        authority_root="root.pem",
        authority_token_file=str(tmp_path / "none"),
    )
    with pytest.raises(ConfigError, match=r"resources\.authority_token_file"):
        ports_of(elsewhere, SETTINGS, "")
