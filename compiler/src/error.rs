//! Errors, by whose fault they are, with what would help.
//!
//! Code below the driver never prints and never panics on a user's model: an operator returns a
//! [`Fault`]; the phase that knows the node turns it into a [`Problem`] and goes on, so that all
//! problems of a phase are shown at once in one [`Error`].

use std::collections::BTreeMap;
use std::fmt;

/// Whose fault a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// The model contradicts its own specification.
    Model,
    /// The model is right, and mobilec does not do this.
    Unsupported,
    /// The target cannot hold or run it.
    Target,
    /// mobilec broke an invariant of its own.
    Bug,
}

/// What is wrong, said without knowing where: operators and kernels return this.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Whose fault it is.
    pub blame: Blame,
    /// What is wrong, with shapes; one sentence without a full stop.
    pub message: String,
    /// What would help, if anything does.
    pub help: Option<String>,
}

impl Fault {
    /// The model contradicts its own specification.
    pub fn model(message: impl Into<String>) -> Self {
        Self { blame: Blame::Model, message: message.into(), help: None }
    }

    /// The model is right, and mobilec does not do this.
    pub fn unsupported(message: impl Into<String>) -> Self {
        Self { blame: Blame::Unsupported, message: message.into(), help: None }
    }

    /// The target cannot hold or run it.
    pub fn target(message: impl Into<String>) -> Self {
        Self { blame: Blame::Target, message: message.into(), help: None }
    }

    /// mobilec broke an invariant of its own.
    pub fn bug(message: impl Into<String>) -> Self {
        Self { blame: Blame::Bug, message: message.into(), help: None }
    }

    /// Adds what would help.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// A [`Fault`] and the place where it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The node's name in the model; empty when the problem is the model's as a whole.
    pub node: String,
    /// The operator as the model spells it, with its opset: `Resize, opset 17`.
    pub operator: String,
    /// The module path that the exporter recorded, such as `features.3.conv`.
    pub module: Option<String>,
    /// What is wrong.
    pub fault: Fault,
}

impl Problem {
    /// A problem of the model as a whole.
    pub fn whole(fault: Fault) -> Self {
        Self { node: String::new(), operator: String::new(), module: None, fault }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.node.is_empty() || !self.operator.is_empty() {
            write!(f, "node {}", if self.node.is_empty() { "(unnamed)" } else { &self.node })?;
            if !self.operator.is_empty() {
                write!(f, " ({})", self.operator)?;
            }
            if let Some(module) = &self.module {
                write!(f, ", module {module}")?;
            }
            write!(f, "\n    ")?;
        }
        write!(f, "{}", self.fault.message)?;
        if let Some(help) = &self.fault.help {
            write!(f, "\n    help: {help}")?;
        }
        Ok(())
    }
}

/// Everything that can go wrong between a model's bytes and a finished module.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// All problems of one phase.
    #[error("{}", list(.summary, .problems))]
    Problems {
        /// One line: how many of what, in which file.
        summary: String,
        /// Each problem with its place.
        problems: Vec<Problem>,
    },
    /// A file could not be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file, as the user named it.
        path: String,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A request that makes no sense, whatever the model.
    #[error("{0}")]
    Usage(String),
}

/// The result of whatever can fail on a user's model.
pub type Result<T = (), E = Error> = std::result::Result<T, E>;

impl Error {
    /// Problems of a phase; `what` is the summary, such as `m.onnx cannot be compiled`.
    pub fn problems(summary: impl Into<String>, problems: Vec<Problem>) -> Self {
        Self::Problems { summary: summary.into(), problems }
    }

    /// A single problem of the model as a whole.
    pub fn whole(summary: impl Into<String>, fault: Fault) -> Self {
        Self::problems(summary, vec![Problem::whole(fault)])
    }

    /// A file that could not be read or written.
    pub fn io(path: impl AsRef<std::path::Path>, source: std::io::Error) -> Self {
        Self::Io { path: path.as_ref().display().to_string(), source }
    }
}

/// Problems of one operator with one message that are shown; the others of it are counted.
const SHOWN: usize = 3;

fn list(summary: &str, problems: &[Problem]) -> String {
    let mut text = summary.to_owned();
    let mut seen: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for problem in problems {
        let alike = seen.entry((&problem.operator, &problem.fault.message)).or_default();
        *alike += 1;
        if problem.operator.is_empty() || *alike <= SHOWN {
            text.push_str("\n  × ");
            text.push_str(&problem.to_string());
        }
    }
    for ((operator, message), count) in seen {
        if !operator.is_empty() && count > SHOWN {
            text.push_str(&format!("\n  × and {} more ({operator}): {message}", count - SHOWN));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_of_one_kind_are_counted() {
        let problem = |node: usize| Problem {
            node: format!("n{node}"),
            operator: "Foo, opset 17".into(),
            module: None,
            fault: Fault::unsupported("no"),
        };
        let error = Error::problems("5 operators", (0..5).map(problem).collect());
        let lines: Vec<String> = error.to_string().lines().map(str::to_owned).collect();
        assert_eq!(lines.len(), 8);
        assert_eq!(
            lines[5..],
            ["  × node n2 (Foo, opset 17)", "    no", "  × and 2 more (Foo, opset 17): no"]
        );
    }
}
