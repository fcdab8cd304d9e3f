"""A running engine writes lists for other programs."""

from __future__ import annotations

import pytest
import starfile
from pretend_project import Engine, until

from warptui import cli
from warptui.engine.errors import ExportError
from warptui.engine.model.exports import ExportRequest
from warptui.engine.model.item import Choice, State

WITHOUT_CTF = ExportRequest(switches=("without_ctf",))


@pytest.mark.slow
def test_a_list_is_written_by_the_engine_and_known_after_a_restart(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.mrc", "b.mrc", "c.mrc"):
        engine.add(name)
    engine.start()
    engine.wait_all(State.DONE, 3)
    client = engine.client
    client.choose(["b.mrc"], Choice.EXCLUDE)
    told = client.preview_export(WITHOUT_CTF)
    assert (told["n"], told["problem"], told["exists"]) == (2, "", False)
    assert [row[0] for row in told["rows"]] == ["average/a.mrc", "average/c.mrc"]
    assert [kind["name"] for kind in told["kinds"]] == ["micrographs", "particles", "report"]
    assert client.preview_export(ExportRequest(items="done"))["n"] == 3
    problem = client.preview_export(ExportRequest(path="list.txt"))["problem"]
    assert "must end with .star" in problem
    with pytest.raises(ExportError, match=r"must end with \.star"):
        client.export(ExportRequest(path="list.txt"))
    with pytest.raises(KeyError):
        client.export(ExportRequest(items="named", names=("x.mrc",)))

    number = client.export(WITHOUT_CTF)
    until(lambda: [export.state for export in client.status().exports] == ["done"])
    (made,) = client.status().exports
    assert (made.id, made.rows, made.writer) == (number, 2, "engine")
    names = starfile.read(engine.project / "micrographs.star")["micrographs"]["rlnMicrographName"]
    assert names.tolist() == ["average/a.mrc", "average/c.mrc"]

    client.export(ExportRequest(path="no.star"))  # the pretended stages tell no CTF
    until(lambda: client.status().exports[0].state == "failed")
    assert "no CTF was found" in client.status().exports[0].reason
    with pytest.raises(KeyError):
        client.cancel_export(number)

    for name in ("XDG_RUNTIME_DIR", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, engine.environment[name])
    line = ["export", "micrographs", str(engine.project), "--without-ctf", "--output"]
    assert cli.main([*line, str(engine.project / "by_hand.star")]) == 0
    until(lambda: len(client.status().exports) == 3)
    assert client.status().exports[0].writer == "command line"
    before = client.status().exports
    assert engine.end() == 0
    engine.start()
    until(lambda: engine.client.status().exports == before)
    assert engine.end() == 0
