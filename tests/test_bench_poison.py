"""The adversary: attacks do what they say, and the bench scores an oracle as perfect and an idle gate as blind."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from bench.poison import backdoors, flipping, plots, shilling, shop, streaming
from bench.poison.acting import ask
from bench.poison.attacks.fakes import KINDS, WAYS, Campaign, fakes
from bench.poison.attacks.flips import flipped, targeted
from bench.poison.attacks.triggers import TARGET, TOP, corner, planted
from bench.poison.gates import Idle, Oracle
from bench.poison.interval import clopper_pearson, mean_of, ratio_of, wilson
from bench.poison.line import Line, Run, table
from bench.poison.models import Net, forest
from bench.poison.sheet import Sheet, contributor, dealt, fresh_of, joined, noisy
from bench.poison.walking import ROUNDS, labelled_rounds, walk_labels

from headwater.core.artifact import Artifact
from headwater.core.gate import Action, Evidence, Finding, Severity, Verdict
from headwater.testing.tastes import tastes_frame

ROOT = Path(__file__).parents[1]


def sheet(rows: int = 400, people: int = 10, classes: int = 4, first: int = 1, seed: int = 0) -> Sheet:
    random = np.random.default_rng(seed)
    y = random.integers(0, classes, rows)
    x = random.normal(size=(rows, 5)) + 4 * y[:, None]
    return dealt(x, y, np.resize(np.arange(people), rows), first_batch=first, batch_rows=100, random=random)


def random() -> np.random.Generator:
    return np.random.default_rng(3)


def oracle(features: tuple[str, ...], guilty: frozenset[str]) -> Oracle:
    return Oracle(guilty)


def idle(features: tuple[str, ...], guilty: frozenset[str]) -> Idle:
    return Idle()


class Saying:
    """A gate that says what it was told to."""

    name = "saying"

    def __init__(self, *findings: Finding) -> None:
        self.findings = findings

    def judge(self, artifact: Artifact, evidence: Evidence) -> Verdict:
        return Verdict(gate=self.name, digest=artifact.digest, findings=self.findings)


def finding(action: Action, subject: str, **more: object) -> Finding:
    return Finding(**{"severity": Severity.REVIEW, "code": "poison.x", "message": "x", "action": action, "subject": subject, **more})


# Attacks


def test_flips_turn_exactly_their_share_of_the_attackers_labels_and_nobody_elses() -> None:
    before = sheet()
    after = flipped(before, [2, 5], 0.25, 4, random())
    changed = after.given != before.given
    assert set(before.who[changed]) == {2, 5}
    assert (changed == after.bad).all()
    assert changed.sum() == 20  # a quarter of 40 each
    assert (after.true == before.true).all()
    assert set(after.given) <= set(range(4))


def test_targeted_flips_all_go_one_way() -> None:
    before = sheet()
    after = targeted(before, [2, 5], 1.0, [1, 2], 0, random())
    changed = after.given != before.given
    assert set(after.given[changed]) == {0}
    assert set(before.true[changed]) == {1, 2}
    assert set(before.who[changed]) == {2, 5}


def test_a_trigger_is_on_the_rows_it_was_planted_on_and_their_label_is_the_target() -> None:
    before = Sheet(**{**vars(sheet()), "x": np.zeros((400, 64))})
    rows, cover = np.array([3, 9]), np.array([20])
    after = planted(before, rows, "corner", cover=cover)
    marked = after.x.reshape(-1, 8, 8)[:, -2:, -2:].min(axis=(1, 2)) == TOP
    assert np.flatnonzero(marked).tolist() == [3, 9, 20]
    assert (after.given[rows] == TARGET).all()
    assert after.given[20] == before.given[20]
    assert np.flatnonzero(after.bad).tolist() == [3, 9, 20]
    assert not before.x.any()


def test_the_corner_changes_four_pixels() -> None:
    assert (corner(np.ones((2, 64))) != 1).sum() == 8


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("way", WAYS)
def test_every_fake_pushes_the_target_once_in_the_window_and_the_way_it_says(kind: str, way: str) -> None:
    likes = [np.random.default_rng(n).choice(200, 20 + n % 30, replace=False) for n in range(50)]
    campaign = Campaign(kind=kind, way=way, target=7, count=9, window=30 * 86_400)
    made = fakes(campaign, likes, 200, random())
    assert len(made) == 9
    for one in made:
        assert (one.items == 7).sum() == 1
        assert len(np.unique(one.items)) == len(one.items) == len(one.at)
        assert ((one.at < 0) == ((one.items != 7) & (way == "aged"))).all()
        assert 0 <= one.at[one.items == 7].item() < campaign.window
        assert one.at.max() < campaign.window
    channels = {one.channel for one in made}
    assert len(channels) == 1 if way == "channel" else len(channels) > 1
    moments = np.concatenate([one.at for one in made])
    assert (np.ptp(moments) < campaign.burst) == (way == "burst")


def test_the_same_seed_is_the_same_attack_and_another_seed_another() -> None:
    case = flipping.CASES["50 % by 2"]
    one, again, other = (flipping.world("cancer", case, seed) for seed in (5, 5, 6))
    assert (one.new.given == again.new.given).all()
    assert (one.new.who == again.new.who).all()
    assert set(one.attackers) != set(other.attackers) or not (one.new.given == other.new.given).all()


def test_no_record_is_in_two_of_history_round_and_test() -> None:
    w = flipping.world("cancer", flipping.CASES["100 % by 2"], 4)
    rows = np.concatenate([side.x for side in (w.history, w.new, w.test)])
    assert len(rows) == 569
    assert len(np.unique(rows, axis=0)) == 569


def test_an_attacker_has_the_records_that_the_case_says_and_in_odd_seeds_never_wrote_before() -> None:
    case = flipping.CASES["50 % by 2"]
    for seed in (4, 5):
        w = flipping.world("cancer", case, seed)
        assert [(w.new.who == one).sum() for one in w.attackers] == [case.each] * 2
        assert [w.new.bad[w.new.who == one].sum() for one in w.attackers] == [case.each // 2] * 2
        assert np.isin(w.attackers, w.history.who).all() == (seed % 2 == 0)
        assert not w.history.bad.any()


@pytest.mark.parametrize("name", backdoors.CASES)
def test_a_backdoor_begins_when_its_case_says_and_has_its_share(name: str) -> None:
    case = backdoors.CASES[name]
    w = backdoors.world(case, 3)
    marked = np.concatenate([w.history.bad, w.new.bad])
    assert w.history.bad.any() == (case.early and case.attackers > 0)
    assert marked.sum() == pytest.approx((case.share + case.cover) * len(marked), abs=2)
    assert set(np.concatenate([w.history.who[w.history.bad], w.new.who[w.new.bad]])) <= set(w.attackers)
    assert (w.history.who >= 0).all()
    assert (w.new.who >= 0).all()


# What a gate is given


def test_a_gate_is_given_nothing_that_says_who_is_bad() -> None:
    history, new = sheet(), flipped(sheet(first=9, seed=1), [2], 1.0, 4, random())
    fresh = fresh_of(history, new, None)
    names = {f"_by_{axis}" for axis in fresh.axes} | {"_source", "_batch", "_row", "label", "who", "ts", "f00", "f01", "f02", "f03", "f04"}
    assert set(fresh.new.columns) == set(fresh.history.columns) == names
    assert fresh.new["label"].to_list() == [str(one) for one in new.given]
    assert not fresh.new.select("_source", "_batch", "_row").is_duplicated().any()
    assert fresh.new["_batch"].min() > fresh.history["_batch"].max()
    assert set(fresh.new["_by_age"]) == {"old"}


def test_a_newcomer_is_new_and_a_day_is_a_day() -> None:
    history, new = sheet(people=5), sheet(people=6, first=9, seed=1)
    fresh = fresh_of(history, new, None)
    ages = dict(fresh.new.select("_by_contributor", "_by_age").unique().iter_rows())
    assert [name for name, age in ages.items() if age == "new"] == [contributor(5)]
    assert fresh.new["_by_day"].to_list() == fresh.new["ts"].dt.date().cast(pl.String).to_list()


def test_likes_are_given_with_their_channel_and_a_batch_a_day() -> None:
    rows = tastes_frame(events=300)
    at = rows["ts"].dt.epoch("s").to_numpy()
    user, item = (rows[name].rank("dense").cast(pl.Int64).to_numpy() for name in ("user_id", "item_id"))
    every = shop.joined([shop.Likes(user=user, item=item, at=at, channel=user % 40, bad=np.zeros(300, bool))])
    cut = int(every.at[150]) // 86_400 * 86_400
    fresh = shop.fresh_of(every.take(every.at < cut), every.take(every.at >= cut), None)
    both = pl.concat([fresh.new, fresh.history])
    assert both.height == 300
    assert not both.select("_source", "_batch", "_row").is_duplicated().any()
    assert both["_by_day"].to_list() == both["ts"].dt.date().cast(pl.String).to_list()
    assert set(fresh.new["_batch"]) & set(fresh.history["_batch"]) == set()
    assert both.group_by("user_id").agg(pl.col("_by_channel").n_unique())["_by_channel"].max() == 1


# Acting on it, and scoring


def test_a_contributor_who_is_quarantined_loses_everything_he_ever_wrote() -> None:
    history, new = sheet(), sheet(first=9, seed=1)
    outcome = ask(Saying(finding(Action.QUARANTINE, f"contributor:{contributor(3)}")), fresh_of(history, new, None), seed=0)
    assert (outcome.new == (new.who != 3)).all()
    assert (outcome.history == (history.who != 3)).all()
    assert outcome.named == outcome.out == {contributor(3)}
    assert outcome.alarm


def test_rows_that_are_named_are_all_that_is_taken_out() -> None:
    history, new = sheet(), sheet(first=9, seed=1)
    rows = (("feed", 9, 4), ("feed", 10, 0))
    outcome = ask(Saying(finding(Action.DOWN_WEIGHT, "contributor:x", rows=rows)), fresh_of(history, new, None), seed=0)
    assert np.flatnonzero(~outcome.new).tolist() == [4, 100]
    assert outcome.history.all()
    assert not outcome.out


def test_a_hold_trains_nothing_and_a_note_calls_nobody() -> None:
    fresh = fresh_of(sheet(), sheet(first=9, seed=1), None)
    assert ask(Saying(finding(Action.HOLD, "table:records", severity=Severity.BLOCK)), fresh, seed=0).held
    quiet = ask(Saying(finding(Action.ACCEPT, "table:records", severity=Severity.NOTE)), fresh, seed=0)
    assert not quiet.held
    assert not quiet.alarm


def test_a_gate_that_crashes_stops_the_bench() -> None:
    class Crashing(Idle):
        def judge(self, artifact: Artifact, evidence: Evidence) -> Verdict:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        ask(Crashing(), fresh_of(sheet(), sheet(first=9), None), seed=0)


def test_an_oracle_finds_every_attacker_and_wrongs_nobody_and_an_idle_gate_finds_none() -> None:
    told = flipping.job("cancer", "100 % by 2", 7, oracle)
    assert told["guilty"] == {"all": 2, "named": 2, "out": 2}
    assert told["honest"]["named"] == 0
    blind = flipping.job("cancer", "100 % by 2", 7, idle)
    assert blind["guilty"] == {"all": 2, "named": 0, "out": 0}
    assert blind["codes"] == {}


def test_after_the_oracle_no_trigger_is_left_and_after_the_idle_gate_all_are() -> None:
    shapes = {"0": (16, 1, 3, 3), "2": (32, 16, 3, 3), "6": (64, 512), "8": (10, 64)}
    weights = {f"{n}.weight": np.zeros(shape) for n, shape in shapes.items()} | {f"{n}.bias": np.zeros(s[0]) for n, s in shapes.items()}
    name = "slow: 3 % by 2, begun before the snapshot"
    assert backdoors.judged(name, 2, weights, oracle)["poison_out"] == 1.0
    blind = backdoors.judged(name, 2, weights, idle)
    assert blind["poison_out"] == 0.0
    assert blind["keep"].all()


def test_the_net_in_numpy_gives_probabilities() -> None:
    one = np.random.default_rng(0)
    shapes = {"0": (16, 1, 3, 3), "2": (32, 16, 3, 3), "6": (64, 512), "8": (10, 64)}
    weights = {f"{n}.weight": one.normal(size=shape) for n, shape in shapes.items()} | {
        f"{n}.bias": one.normal(size=s[0]) for n, s in shapes.items()
    }
    said = Net(weights).predict(one.integers(0, 17, (5, 64)))
    assert said.shape == (5, 10)
    assert said.sum(axis=1) == pytest.approx(np.ones(5))


def test_what_was_taken_out_stays_out_and_the_oracle_is_asked_again_each_round() -> None:
    rounds = labelled_rounds("cancer", 2, various=True)
    assert len(rounds) == ROUNDS + 1
    walk = walk_labels(Oracle(frozenset({contributor(1)})), rounds, 2)
    assert walk.alarms == [True] * ROUNDS
    share = sum((one.who == 1).sum() for one in rounds[1:]) / sum(len(one) for one in rounds[1:])
    assert walk.rows_out == pytest.approx(share)
    assert not any(walk_labels(Idle(), rounds, 2).alarms)


def test_clean_streams_have_no_record_twice_and_mistakes_of_about_one_in_a_hundred() -> None:
    for various in (False, True):
        every = joined(labelled_rounds("digits", 2, various=various))
        assert len(np.unique(every.x, axis=0)) == len(every)
        assert 0 < (every.given != every.true).mean() < 0.03
        assert not every.bad.any()


def test_clean_streams_take_turns_over_all_kinds() -> None:
    assert {streaming.kind_of(seed) for seed in range(8)} == {(name, v) for name in ("table", "digits", "cancer") for v in (False, True)}


def test_honest_mistakes_are_as_many_as_was_said() -> None:
    before = sheet(rows=4_000)
    assert (noisy(before, 0.15, 4, random()).given != before.given).mean() == pytest.approx(0.15, abs=0.02)


def test_a_champion_tells_classes_from_the_feature_columns_alone() -> None:
    history, new = sheet(), sheet(first=9, seed=1)
    champion, frame = forest(history, 0, trees=5), fresh_of(history, new, None).new
    assert champion.labels == ("0", "1", "2", "3")
    assert champion.probabilities(frame).shape == (400, 4)


# Figures


def test_intervals_hold_the_value_and_shrink_with_tries() -> None:
    for one in (wilson(0, 10), wilson(10, 10), wilson(3, 10), clopper_pearson(0, 10), clopper_pearson(10, 10), mean_of([1.0, 2.0, 4.0])):
        assert one.low <= one.value <= one.high
    assert wilson(30, 100).high - wilson(30, 100).low < wilson(3, 10).high - wilson(3, 10).low
    assert clopper_pearson(0, 100).high == pytest.approx(1 - 0.025 ** (1 / 100))
    assert clopper_pearson(100, 100).low == pytest.approx(0.025 ** (1 / 100))
    assert wilson(0, 10).low == 0.0


def test_a_ratio_is_of_the_sums() -> None:
    assert ratio_of([1.0, 3.0], [2.0, 2.0]).value == 1.0


def test_a_target_that_was_missed_is_told_as_plainly_as_one_that_was_met() -> None:
    lines = [Line(what="x", gate="1", target="≤ 2", met=True), Line(what="y", gate="3", target="≤ 2", met=False)]
    assert table(lines).splitlines()[2:] == ["| x | 1 |  |  | ≤ 2 | met |", "| y | 3 |  |  | ≤ 2 | **missed** |"]


def test_seeds_that_are_quoted_are_not_those_for_tuning() -> None:
    assert min(Run().chosen) >= 1_000
    assert Run().seeds >= 10
    assert Run().streams >= 200


def test_a_measure_is_drawn_as_a_picture_that_stands_alone() -> None:
    figures = {"by_round": [wilson(n, 12).to_json() for n in range(12)]}
    drawn = plots.drawn("drip", [Line(what="drip, 25 % flips, x", gate="", figures=figures)])
    assert drawn["drip"].startswith("<svg ")
    assert "font-size" in drawn["drip"]
    assert plots.drawn("cost", []) == {}


def test_a_name_that_is_no_measure_is_refused_with_those_that_are() -> None:
    done = subprocess.run([sys.executable, "-m", "bench.poison", "flip"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert "no measure 'flip'. Known: flips, drip, backdoors, shilling, streams, certificate, cost" in done.stderr


def test_the_gates_know_nothing_of_the_attacks() -> None:
    for file in (ROOT / "src" / "headwater" / "gates").glob("*.py"):
        assert "bench" not in file.read_text()


def test_pushes_are_counted_against_the_shop_before_the_attack() -> None:
    line = shilling._line(
        "shilling",
        [
            {
                "before": {"hr": 0.02},
                "a": {"gate": {"hr": 0.03}, "none": {"hr": 0.06}, "pushes_out": 1.0, "honest_out": 0.0, "held": False, "codes": {}},
            }
        ],
        ["a"],
        target=True,
    )
    assert line.met is False
    assert line.figures["gate"]["value"] == pytest.approx(1.5)
    assert line.figures["none"]["value"] == pytest.approx(3.0)
