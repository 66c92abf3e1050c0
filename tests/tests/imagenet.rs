//! Quantised MobileNetV2 on a hundred pictures: hits, agreement with recorded answers, and ONNX Runtime's bytes.
//!
//! JPEG decoders differ by a step here and there, and in a chain of fifty quantised layers one code that a tie
//! rounds otherwise becomes differences of several codes in the scores, which are equal or a code apart for many
//! pairs of classes. So answers recorded with Pillow's pixels are compared on Pillow's pixels
//! (`oracle/pictures.py`), and the command's own decoder is held to the hits alone.

use mobilec_tests::emitted::npy;
use mobilec_tests::oracle::Oracle;
use mobilec_tests::{command, folder, here, skip};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

const PER_CHANNEL: Case =
    Case { model: "mobilenet_v2_tv_qdq_u8s8_perchannel", hits: 82, agreement: 94, background: 0 };
const QLINEAR: Case =
    Case { model: "mobilenet_v2_tv_qlinear_u8u8_pertensor", hits: 80, agreement: 94, background: 0 };
const TENSORFLOW: Case =
    Case { model: "mobilenet_v2_100_224_tf2onnx_qdq", hits: 87, agreement: 94, background: 1 };

/// A network, and what ONNX Runtime was recorded to answer.
struct Case {
    model: &'static str,
    hits: usize,
    /// Answers that must be the recorded ones.
    agreement: usize,
    /// Classes that a network counts before the first of the table.
    background: usize,
}

impl Case {
    /// The model's file and the folder of models; `None` after a message where there is none.
    fn files(&self) -> Option<(PathBuf, PathBuf)> {
        let Some(models) = folder("MOBILEC_MODELS") else {
            skip(self.model, "MOBILEC_MODELS names no folder");
            return None;
        };
        Some((models.join(format!("imagenet/{}.onnx", self.model)), models.join("imagenet")))
    }

    /// What `mobilec run` gives on a picture, a folder of them or a file of tensors.
    fn scores(&self, input: &Path, arguments: &[&str]) -> Vec<f64> {
        let (model, _) = self.files().expect("models");
        // Tests that run beside each other may want the scores of one model.
        static RUNS: AtomicUsize = AtomicUsize::new(0);
        let run = RUNS.fetch_add(1, Ordering::Relaxed);
        let id = format!("mobilec-{}-{}-{run}.npy", self.model, std::process::id());
        let output = scratch(&id);
        let run = Command::new(command())
            .arg("run")
            .arg(model)
            .arg("--input")
            .arg(input)
            .args(["--target", "x86-64-avx2", "--json", "--output"])
            .arg(&output)
            .args(arguments)
            .output()
            .expect("the command runs");
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
        let scores = npy(&output).to_f64();
        let _ = std::fs::remove_file(&output);
        scores
    }

    /// Answers that are those of a column of the table.
    fn answers_as(&self, scores: &[f64], column: &str) -> usize {
        let (_, imagenet) = self.files().expect("models");
        let table = std::fs::read_to_string(imagenet.join("val100.csv")).expect("the answers");
        let mut rows = table.lines();
        let head = rows.next().expect("a table");
        let at = head.split(',').position(|name| name == column).expect("a column");
        let answers = rows.map(|row| row.split(',').nth(at).expect("a cell"));
        let classes = scores.len() / 100;
        let found = scores.chunks(classes).map(|scores| first_largest(scores) - self.background);
        found.zip(answers).filter(|(found, answer)| found.to_string() == *answer).count()
    }

    #[track_caller]
    fn has_hits(&self, scores: &[f64]) {
        let hits = self.answers_as(scores, "label_0_999");
        assert!(hits.abs_diff(self.hits) <= 2, "{}: {hits} hits, recorded are {}", self.model, self.hits);
    }

    #[track_caller]
    fn agrees(&self, scores: &[f64]) {
        let agreeing = self.answers_as(scores, &format!("top1_{}", self.model));
        assert!(agreeing >= self.agreement, "{}: {agreeing} answers agree with those recorded", self.model);
    }
}

/// The first of equal scores, which codes often are.
fn first_largest(scores: &[f64]) -> usize {
    (1..scores.len()).fold(0, |best, at| if scores[at] > scores[best] { at } else { best })
}

fn scratch(name: &str) -> PathBuf {
    here().join("../target/tmp").join(name)
}

/// The hundred pictures as Pillow reads them; `None` after a message where there is no Python.
fn tensors(test: &str, imagenet: &Path) -> Option<&'static Path> {
    static FILE: OnceLock<PathBuf> = OnceLock::new();
    let Some(python) = std::env::var_os("MOBILEC_PYTHON") else {
        skip(test, "MOBILEC_PYTHON names no Python with Pillow");
        return None;
    };
    Some(FILE.get_or_init(|| {
        let file = scratch("val100.npy");
        std::fs::create_dir_all(file.parent().expect("a folder")).expect("a folder for tensors");
        let made = Command::new(python)
            .arg(here().join("oracle/pictures.py"))
            .arg(imagenet.join("val100"))
            .arg(&file)
            .status();
        assert!(made.expect("MOBILEC_PYTHON starts").success(), "pictures.py fails");
        file
    }))
}

#[test]
fn per_channel_weights_answer_as_onnx_runtime() {
    let Some((_, imagenet)) = PER_CHANNEL.files() else { return };
    let Some(tensors) = tensors(PER_CHANNEL.model, &imagenet) else { return };
    let scores = PER_CHANNEL.scores(tensors, &[]);
    PER_CHANNEL.has_hits(&scores);
    PER_CHANNEL.agrees(&scores);
}

#[test]
fn qlinear_operators_give_the_bytes_of_onnx_runtime() {
    let Some((model, imagenet)) = QLINEAR.files() else { return };
    let Some(tensors) = tensors(QLINEAR.model, &imagenet) else { return };
    let scores = QLINEAR.scores(tensors, &[]);
    QLINEAR.has_hits(&scores);
    QLINEAR.agrees(&scores);
    let mut oracle = Oracle::start(&scratch("imagenet-oracle")).expect("MOBILEC_PYTHON");
    let model = std::fs::read(model).expect("the model");
    let expected = oracle.run(&model, &npy(tensors)).expect("ONNX Runtime runs it").remove(0).to_f64();
    let differing = scores.iter().zip(&expected).filter(|(a, b)| a != b).count();
    assert_eq!((differing, scores.len()), (0, expected.len()));
}

#[test]
fn pictures_read_by_the_command_are_recognised() {
    let Some((_, imagenet)) = QLINEAR.files() else { return };
    for case in [PER_CHANNEL, QLINEAR] {
        case.has_hits(&case.scores(&imagenet.join("val100"), &["--normalize", "imagenet"]));
    }
    let scores = TENSORFLOW.scores(&imagenet.join("val100"), &[]);
    TENSORFLOW.has_hits(&scores);
    TENSORFLOW.agrees(&scores);
}
