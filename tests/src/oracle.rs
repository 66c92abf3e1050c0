//! ONNX Runtime, in a Python process that runs one model after the other (`oracle/ort.py`).

use crate::emitted::npy;
use crate::here;
use mobilec::files;
use mobilec::tensor::Tensor;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// The process.
#[derive(Debug)]
pub struct Oracle {
    process: Child,
    questions: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    folder: PathBuf,
}

impl Oracle {
    /// Starts the Python that `MOBILEC_PYTHON` names; `None` where it names none. Files go to `folder`.
    ///
    /// # Panics
    ///
    /// On a Python that does not start.
    pub fn start(folder: &Path) -> Option<Self> {
        let python = std::env::var_os("MOBILEC_PYTHON")?;
        std::fs::create_dir_all(folder).expect("a folder for the oracle");
        let mut process = Command::new(python)
            .arg(here().join("oracle/ort.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("MOBILEC_PYTHON starts");
        let questions = process.stdin.take();
        let answers = BufReader::new(process.stdout.take().expect("a pipe"));
        Some(Self { process, questions, answers, folder: folder.to_owned() })
    }

    /// What ONNX Runtime gives for a model on an input, or on several that are stacked.
    ///
    /// # Errors
    ///
    /// What the checker or ONNX Runtime says.
    ///
    /// # Panics
    ///
    /// When files cannot be written or the process has ended.
    pub fn run(&mut self, model: &[u8], input: &Tensor) -> Result<Vec<Tensor>, String> {
        self.ask(model, input, "fast")
    }

    /// The same as the graph literally says, each operator by itself: quantised models in real numbers.
    ///
    /// # Errors
    ///
    /// As [`Oracle::run`].
    ///
    /// # Panics
    ///
    /// As [`Oracle::run`].
    pub fn literal(&mut self, model: &[u8], input: &Tensor) -> Result<Vec<Tensor>, String> {
        self.ask(model, input, "literal")
    }

    fn ask(&mut self, model: &[u8], input: &Tensor, how: &str) -> Result<Vec<Tensor>, String> {
        let [file, tensor, outputs] =
            ["model.onnx", "input.npy", "output"].map(|name| self.folder.join(name));
        std::fs::write(&file, model).expect("the model is written");
        let bytes = files::npy_bytes(input).expect("a tensor becomes a file");
        std::fs::write(&tensor, bytes).expect("the input is written");
        let questions = self.questions.as_mut().expect("a pipe");
        writeln!(questions, "{}\t{}\t{}\t{how}", file.display(), tensor.display(), outputs.display())
            .expect("it reads");
        let mut answer = String::new();
        self.answers.read_line(&mut answer).expect("it answers");
        let _ = std::fs::remove_file(file);
        match answer.trim_end().split_once(' ') {
            Some(("ok", count)) => {
                let count: usize = count.parse().expect("a number of outputs");
                Ok((0..count).map(|i| npy(&self.folder.join(format!("output{i}.npy")))).collect())
            }
            Some(("error", why)) => Err(why.to_owned()),
            _ => panic!("the oracle answers {answer:?}"),
        }
    }
}

impl Drop for Oracle {
    fn drop(&mut self) {
        drop(self.questions.take());
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
