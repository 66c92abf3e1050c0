//! Syntax tree to builder calls. Every complaint of the builder is put under the token that is at fault.

use super::arguments::{Arguments, Environment, Signature, Spec, Takes, Value, evaluate};
use super::ast::{BlockDefinition, Source, Statement};
use super::builder::{Builder, Misfit};
use super::layers::Residual;
use super::options::Options;
use super::words::{CONTROL, WORDS, Word};
use crate::dsl::network::Network;
use proc_macro2::Span;
use std::collections::BTreeSet;
use syn::Error;

/// Blocks within blocks.
const MAX_DEPTH: usize = 64;

/// Statements that are run at most; repeats count.
const MAX_STATEMENTS: usize = 100_000;

/// Builds the network that a syntax tree describes. Where `errors` holds some already, layers are missing:
/// words and arguments are checked as well, but no shapes, of which nothing is known.
pub(super) fn build(source: &Source, options: &Options, errors: &mut Vec<Error>) -> Option<Network> {
    let mut lowering = Lowering {
        source,
        globals: options.environment(),
        builder: Builder::new(&source.name.to_string(), options.settings.clone()),
        errors: Vec::new(),
        reported: BTreeSet::new(),
        statements: 0,
    };
    lowering.of_options(options);
    if !errors.is_empty() {
        lowering.builder.forget();
    }
    lowering.check_blocks();
    let globals = lowering.globals.clone();
    lowering.body(&source.body, &globals, 0);
    errors.append(&mut lowering.errors);
    if !errors.is_empty() {
        return None;
    }
    let whole = |misfit: Misfit| Error::new(place(source, options, misfit.argument), misfit.fault);
    let network = lowering.builder.complete();
    network.map_err(|misfits| errors.extend(misfits.into_iter().map(whole))).ok()
}

/// Where an option stands; the model's name where it does not.
fn place(source: &Source, options: &Options, name: &str) -> Span {
    options.spans.get(name).copied().unwrap_or(source.name.span())
}

struct Lowering<'a> {
    source: &'a Source,
    /// What every layer may compute with.
    globals: Environment,
    builder: Builder,
    errors: Vec<Error>,
    /// Statements and arguments that were complained about, by their address: a repeat complains once.
    reported: BTreeSet<(usize, &'static str)>,
    statements: usize,
}

impl Lowering<'_> {
    fn of_options(&mut self, options: &Options) {
        for misfit in self.builder.take_misfits() {
            self.errors.push(Error::new(place(self.source, options, misfit.argument), misfit.fault));
        }
    }

    /// A user's block may not have the name of a word or of another block.
    fn check_blocks(&mut self) {
        for (i, block) in self.source.blocks.iter().enumerate() {
            let name = block.name.to_string();
            let earlier = self.source.blocks[..i].iter().any(|other| other.name == block.name);
            if earlier || words().any(|word| word == name) {
                self.errors.push(Error::new(block.name.span(), format!("there is a `{name}` already")));
            }
        }
    }

    fn body(&mut self, body: &[Statement], environment: &Environment, depth: usize) {
        for statement in body {
            self.statements += 1;
            if self.statements > MAX_STATEMENTS {
                let message = format!("more than {MAX_STATEMENTS} statements are run");
                self.report(statement, "", statement.word.span(), message);
                return;
            }
            self.statement(statement, environment, depth);
        }
    }

    fn statement(&mut self, statement: &Statement, environment: &Environment, depth: usize) {
        let name = statement.word.to_string();
        let mut environment = environment.clone();
        environment.insert("in".into(), Value::Number(self.builder.channels() as f64));
        if let Some(word) = WORDS.iter().find(|word| word.signature.word == name) {
            self.no_body(statement);
            self.word(word, statement, &environment);
        } else if let Some(signature) = CONTROL.iter().find(|signature| signature.word == name) {
            self.control(*signature, statement, &environment, depth);
        } else if let Some(block) = self.source.blocks.iter().find(|block| block.name == name) {
            self.no_body(statement);
            self.call(block, statement, &environment, depth);
        } else {
            let message = format!("there is no `{name}`; there are {}", self.known().join(", "));
            self.report(statement, "", statement.word.span(), message);
            self.builder.forget();
        }
    }

    fn known(&self) -> Vec<String> {
        let own = self.source.blocks.iter().map(|block| block.name.to_string());
        words().map(str::to_owned).chain(own).collect()
    }

    fn no_body(&mut self, statement: &Statement) {
        if statement.body.is_some() {
            let message = format!("`{}` takes no braces", statement.word);
            self.report(statement, "{", statement.word.span(), message);
        }
    }

    /// Reads arguments; `None` where some cannot be read or are missing.
    fn arguments(
        &mut self,
        signature: Signature<'_>,
        needs: &[&'static str],
        statement: &Statement,
        environment: &Environment,
    ) -> Option<Arguments> {
        let mut errors = Vec::new();
        let arguments = Arguments::read(signature, &statement.arguments, environment, &mut errors);
        let complete = errors.is_empty();
        let known = !self.reported.insert((address(statement), "arguments"));
        for need in needs.iter().filter(|need| complete && !arguments.flag(need)) {
            self.report(
                statement,
                need,
                statement.word.span(),
                format!("`{}` needs `{need}`", signature.word),
            );
        }
        if !complete && !known {
            self.errors.extend(errors);
        }
        if complete && needs.iter().all(|need| arguments.flag(need)) {
            return Some(arguments);
        }
        self.builder.forget();
        None
    }

    fn word(&mut self, word: &Word, statement: &Statement, environment: &Environment) {
        let Some(arguments) = self.arguments(word.signature, word.needs, statement, environment) else {
            return;
        };
        let repeats = arguments.count("n").unwrap_or(1);
        let stride = arguments.count("s").unwrap_or(1);
        if repeats > MAX_STATEMENTS - self.statements {
            let message = format!("more than {MAX_STATEMENTS} statements are run");
            self.report(statement, "n", arguments.span("n").unwrap_or(statement.word.span()), message);
            return;
        }
        self.statements += repeats;
        for i in 0..repeats {
            self.label(statement, (repeats > 1).then_some(i));
            (word.add)(&mut self.builder, &arguments, if i == 0 { stride } else { 1 });
        }
        self.take_misfits(statement, &arguments);
    }

    fn label(&mut self, statement: &Statement, index: Option<usize>) {
        match (&statement.label, index) {
            (Some(label), Some(index)) => self.builder.named(&format!("{label}.{index}")),
            (Some(label), None) => self.builder.named(&label.to_string()),
            (None, _) => &mut self.builder,
        };
    }

    fn take_misfits(&mut self, statement: &Statement, arguments: &Arguments) {
        for misfit in self.builder.take_misfits() {
            let span = arguments.span(misfit.argument).unwrap_or(statement.word.span());
            let mut message = misfit.fault.to_string();
            if let Some(help) = misfit.fault.help {
                message += &format!("; {help}");
            }
            self.report(statement, misfit.argument, span, message);
        }
    }

    fn control(
        &mut self,
        signature: Signature<'static>,
        statement: &Statement,
        environment: &Environment,
        depth: usize,
    ) {
        let needs: &[&str] = match signature.word {
            "residual" => &[],
            _ => &[signature.bare],
        };
        let Some(arguments) = self.arguments(signature, needs, statement, environment) else { return };
        if let Some(label) = &statement.label {
            let message = format!("`{}` cannot be called by a name", signature.word);
            self.report(statement, "label", label.span(), message);
        }
        match (signature.word, &statement.body) {
            ("repeat", Some(body)) => {
                for _ in 0..arguments.count("n").unwrap_or(0) {
                    self.statements += 1;
                    self.inner(body, environment, depth);
                    if self.statements > MAX_STATEMENTS {
                        break;
                    }
                }
            }
            ("residual", Some(body)) => {
                let before = self.builder.begin_residual();
                self.inner(body, environment, depth);
                let policy = if arguments.flag("if_fits") { Residual::IfFits } else { Residual::Always };
                self.builder.end_residual(before, policy);
            }
            ("tap", None) => {
                self.builder.tap(arguments.word("name").unwrap_or_default());
            }
            ("output", None) => {
                self.builder.output(arguments.word("name").unwrap_or_default());
            }
            (word, body) => {
                let message =
                    format!("`{word}` takes {}", if body.is_some() { "no braces" } else { "braces" });
                self.report(statement, "{", statement.word.span(), message);
            }
        }
        self.take_misfits(statement, &arguments);
    }

    fn inner(&mut self, body: &[Statement], environment: &Environment, depth: usize) {
        let mut environment = environment.clone();
        environment.remove("in");
        self.body(body, &environment, depth);
    }

    /// A user's block.
    fn call(
        &mut self,
        block: &BlockDefinition,
        statement: &Statement,
        environment: &Environment,
        depth: usize,
    ) {
        if depth >= MAX_DEPTH {
            let message = format!("`{}` calls itself, or blocks are more than {MAX_DEPTH} deep", block.name);
            return self.report(statement, "depth", statement.word.span(), message);
        }
        let names: Vec<String> = block.parameters.iter().map(|(name, _)| name.to_string()).collect();
        let specs: Vec<Spec<'_>> = names.iter().map(|name| Spec { name, takes: Takes::Anything }).collect();
        let word = block.name.to_string();
        let bare = names.first().map_or("", String::as_str);
        let signature = Signature { word: &word, bare, specs: &specs };
        let Some(arguments) = self.arguments(signature, &[], statement, environment) else { return };
        let mut inner = self.globals.clone();
        let given = arguments.into_environment();
        inner.extend(given.clone());
        for (name, default) in &block.parameters {
            let name = name.to_string();
            if given.contains_key(&name) {
                continue;
            }
            match default.as_ref().map(|default| evaluate(default, &inner)) {
                Some(Ok(value)) => {
                    inner.insert(name, value);
                }
                Some(Err(error)) => return self.errors.push(error),
                None => {
                    let message = format!("`{word}` needs `{name}`");
                    return self.report(statement, "needs", statement.word.span(), message);
                }
            }
        }
        self.label(statement, None);
        self.builder.enter(&word);
        self.body(&block.body, &inner, depth + 1);
        self.builder.leave();
    }

    /// Reports once for a statement and argument, however often it is repeated.
    fn report(&mut self, statement: &Statement, argument: &'static str, span: Span, message: String) {
        if self.reported.insert((address(statement), argument)) {
            self.errors.push(Error::new(span, message));
        }
    }
}

fn address(statement: &Statement) -> usize {
    std::ptr::from_ref(statement) as usize
}

fn words() -> impl Iterator<Item = &'static str> {
    let control = CONTROL.iter().map(|signature| signature.word);
    WORDS.iter().map(|word| word.signature.word).chain(control)
}
