"""Projects and movies that are moved or copied: what was made of a movie is kept."""

from __future__ import annotations

import shutil

import pytest
from pretend_project import Engine, movie_bytes, until

from warptui.engine.model.item import Choice, State

NAMES = ("a.mrc", "b.mrc", "c.mrc")


@pytest.fixture
def processed(engine: Engine) -> dict[str, float]:
    """Three movies are done and one of them excluded; when each was finished."""
    for name in NAMES:
        engine.add(name)
    engine.start()
    engine.wait_all(State.DONE, 3)
    engine.client.choose(["b.mrc"], Choice.EXCLUDE)
    return finished(engine)


def finished(engine: Engine) -> dict[str, float]:
    return {name: row.finished_at for name, row in engine.rows().items()}


def settled(engine: Engine, before: dict[str, float]) -> None:
    """All is done, nothing was done again, and what is stored names the new place."""
    metadata = [(engine.project / name).with_suffix(".xml") for name in NAMES]
    until(lambda: all(str(engine.raw) in path.read_text() for path in metadata))
    for name in NAMES:
        engine.wait_for(name, State.DONE)
        assert engine.client.item(name).raw_path == str(engine.raw / name)
    until(lambda: engine.client.status().state == "idle")
    assert finished(engine) == before
    assert engine.rows()["b.mrc"].choice is Choice.EXCLUDE


@pytest.mark.slow
@pytest.mark.parametrize("copied", [True, False])
def test_a_project_with_its_movies_goes_on_elsewhere(
    engine: Engine, processed: dict[str, float], copied: bool
) -> None:
    assert engine.end() == 0
    elsewhere = engine.project.with_name("elsewhere")
    shutil.copytree(engine.project, elsewhere) if copied else engine.project.rename(elsewhere)
    engine.project, engine.raw = elsewhere, elsewhere / "raw"
    for _ in range(2):  # also the next time
        engine.start()
        settled(engine, processed)
        assert engine.end() == 0


@pytest.mark.slow
@pytest.mark.parametrize("copied", [True, False])
def test_movies_that_are_now_in_another_folder_keep_their_results(
    engine: Engine, processed: dict[str, float], copied: bool
) -> None:
    config = engine.project / "config.toml"
    absolute = config.read_text().replace('folder = "raw"', f'folder = "{engine.raw}"')
    config.write_text(absolute)
    engine.client.reload()
    elsewhere = engine.project.with_name("disk2")
    shutil.copytree(engine.raw, elsewhere) if copied else engine.raw.rename(elsewhere)
    config.write_text(absolute.replace(str(engine.raw), str(elsewhere)))
    engine.client.reload()
    engine.raw = elsewhere
    until(lambda: engine.client.item("c.mrc").raw_path == str(elsewhere / "c.mrc"))
    settled(engine, processed)
    assert engine.end() == 0


@pytest.mark.slow
def test_another_movie_of_the_same_name_takes_nothing_over(
    engine: Engine, processed: dict[str, float]
) -> None:
    elsewhere = engine.project / "raw2"
    elsewhere.mkdir()
    (elsewhere / "a.mrc").write_bytes(movie_bytes(seed=77))
    shutil.copy(engine.raw / "c.mrc", elsewhere)
    config = engine.project / "config.toml"
    config.write_text(config.read_text().replace('"raw"', '"raw2"'))
    engine.client.reload()
    other = str(elsewhere / "a.mrc")
    until(lambda: (row := engine.rows().get(other)) is not None and row.state is State.FAILED)
    assert "same root name" in engine.rows()[other].reason
    assert engine.wait_for("a.mrc", State.MISSING).finished_at == processed["a.mrc"]
    assert engine.wait_for("c.mrc", State.DONE).finished_at == processed["c.mrc"]
    assert engine.end() == 0
