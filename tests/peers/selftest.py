"""Tests of rounds and tables, with peers that are made up: run.py --self-test needs nothing but Python."""

import pathlib
import sys
import tempfile
import unittest

import networks
import peers
import rounds
import table

# Speaks the protocol of rust/driver: three times, and the input as the output with VALUE added to it.
PEER = """
import array, json, sys, time
path, shape, source, output, seconds = sys.argv[3:]
x = array.array("f", open(source, "rb").read())
open(LOG, "a").write(NAME + "\\n")
FAIL
array.array("f", [value + VALUE for value in x]).tofile(open(output, "wb"))
print("a line that an engine prints")
print(json.dumps({"load_ms": 1, "first_ms": 2, "first_at": time.time(), "rss_kib": 1000, "times_ms": TIMES}))
"""


class Mobilec(peers.Program):
    """A made-up peer that also knows the core's peak and the network's MACs."""

    def measure(self, network):
        return {**super().measure(network), "peak_gflops": 100.0, "macs": 50_000_000}


class SelfTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.log = self.folder / "log"
        self.said = []

    def network(self, name):
        folder = self.folder / name
        folder.mkdir()
        (folder / "about.json").write_text('{"shape": [1, 2, 2], "int8": false}')
        values = networks.floats(bytes(16))
        values[2] = 8
        for file in ("input.f32", "expected.f32"):
            (folder / file).write_bytes(values.tobytes())
        return networks.Network(name, folder)

    def peer(self, name, times, value=0.0, fail="", kind=peers.Program):
        words = {"LOG": repr(str(self.log)), "NAME": repr(name), "VALUE": repr(value), "TIMES": repr(times), "FAIL": fail}
        text = PEER
        for word, by in words.items():
            text = text.replace(word, by)
        command = [sys.executable, "-c", text, name, "x"]
        return kind(name, lambda network: command, lambda network: network.folder, 1)

    def rows(self, asked, named, count):
        rows = rounds.prepare(asked, named, self.said.append)
        rounds.measure(rows, asked, named, count, self.said.append)
        return list(rows.values())

    def test_every_round_runs_each_peer_once_and_starts_with_another(self):
        named = [self.peer(name, [1.0]) for name in "abc"]
        self.rows([self.network("one"), self.network("two")], named, 3)
        self.assertEqual(self.log.read_text().split(), [*"abcabc", *"bcabca", *"cabcab"])

    def test_table_has_the_least_and_the_median_of_the_rounds(self):
        named = [
            self.peer("slow", [9.0, 4.0, 5.0], 0.005),
            self.peer("mobilec", [2.0, 1.0, 3.0], kind=Mobilec),
        ]
        rows = self.rows([self.network("one")], named, 2)
        rows[0].rounds[1].update(min_ms=3.0, median_ms=7.0)
        head, rule, *lines = table.speed(rows).splitlines()
        self.assertEqual(head.count("|"), rule.count("|"))
        self.assertEqual(
            lines,
            [
                "| one | mobilec | 1.00 | 2.00 | 1.00 | 100.0 | 100 % | 0.0e+00 |",
                "| one | slow | 3.00 | 6.00 | 3.00 | 33.3 | 33 % | 5.0e-03 |",
            ],
        )

    def test_failing_peer_is_a_line_with_its_reason(self):
        named = [self.peer("good", [1.0]), self.peer("bad", [1.0], fail="sys.exit('no operator Foo')")]
        text = table.speed(self.rows([self.network("one")], named, 2))
        self.assertIn("\n| one | bad | - | - | - | - | - | - |\n", text)
        self.assertTrue(text.endswith("\n\n- bad on one: no operator Foo"), text)
        self.assertEqual(self.log.read_text().split().count("bad"), 1, "it is not asked again")

    def test_wrong_output_is_a_failure(self):
        text = table.speed(self.rows([self.network("one")], [self.peer("wrong", [1.0], 0.1)], 1))
        self.assertIn("| one | wrong | - |", text)
        self.assertIn("wrong on one: the output is 0.1 off ONNX Runtime's, whose largest value is 8", text)

    def test_output_that_is_no_number_is_a_failure(self):
        named = self.peer("wrong", [1.0], fail="x[3] = float('nan')")
        text = table.speed(self.rows([self.network("one")], [named], 1))
        self.assertIn("| one | wrong | - |", text)

    def test_program_that_is_missing_is_a_failure(self):
        absent = peers.Program("absent", lambda network: [self.folder / "none"], lambda network: "", 1)
        text = table.speed(self.rows([self.network("one")], [absent], 1))
        self.assertIn("is not there; setup.sh builds and installs it", text)

    def test_start_table_has_the_soonest_round(self):
        rows = self.rows([self.network("one")], [self.peer("a", [])], 2)
        rows[0].rounds[0]["start_ms"], rows[0].rounds[1]["start_ms"] = 12.0, 11.0
        lines = table.start(rows, {("one", "a"): 590_000}).splitlines()
        self.assertEqual(lines[2], "| one | a | 11.0 | 1.0 | 1.0 | 590 |")


def run():
    """The exit status."""
    result = unittest.TextTestRunner().run(unittest.defaultTestLoader.loadTestsFromTestCase(SelfTest))
    return 0 if result.wasSuccessful() and result.testsRun else 1
