//! What the arguments of a statement mean, by the list of what its word takes.

use super::ast::{Argument, Expression, Form, Operation};
use crate::ops::activation::Activation;
use proc_macro2::Span;
use std::collections::BTreeMap;
use syn::{Error, Ident};

/// A value that an argument, a parameter or an option has.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Number(f64),
    Kernel([usize; 2]),
    Word(String),
}

/// What an argument may be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Takes {
    /// A number: `t2.5`.
    Number,
    /// A whole number: `s2`.
    Count,
    /// A kernel: `3x3`, or `k3`.
    Kernel,
    /// The name of an activation: `relu6`, or `act = relu6`.
    Activation,
    /// A word that is there or not: `bn`.
    Flag,
    /// A name that the user chooses.
    Name,
    /// Arguments of its own: `se(r = 0.25)`; alone, their defaults.
    Group(&'static [Spec<'static>]),
    /// Whatever a user's block makes of it.
    Anything,
}

/// An argument that a word takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Spec<'a> {
    /// Its name; of the short form `c32`, the letters.
    pub name: &'a str,
    /// What it may be.
    pub takes: Takes,
}

/// Names that expressions may use.
pub(super) type Environment = BTreeMap<String, Value>;

/// An argument that was given.
#[derive(Clone, Debug)]
enum Given {
    Value(Value),
    Activation(Activation),
    Group(Arguments),
    Flag,
}

/// Arguments by name, with their places.
#[derive(Clone, Debug, Default)]
pub(super) struct Arguments(BTreeMap<String, (Given, Option<Span>)>);

/// A statement's word, what it takes, and which of that a bare value is.
#[derive(Clone, Copy)]
pub(super) struct Signature<'a> {
    pub word: &'a str,
    pub bare: &'a str,
    pub specs: &'a [Spec<'a>],
}

impl Arguments {
    /// Reads what was given; what does not fit is reported and left out.
    pub(super) fn read(
        signature: Signature<'_>,
        given: &[Argument],
        environment: &Environment,
        errors: &mut Vec<Error>,
    ) -> Self {
        let mut arguments = Self::default();
        for argument in given {
            match signature.one(argument, environment, errors) {
                Ok((name, _)) if arguments.0.contains_key(name) => {
                    errors.push(Error::new(argument.span, format!("`{name}` was given before")));
                }
                Ok((name, value)) => {
                    arguments.0.insert(name.to_owned(), (value, Some(argument.span)));
                }
                Err(error) => errors.push(error),
            }
        }
        arguments
    }

    /// Where an argument stands, if it does.
    pub(super) fn span(&self, name: &str) -> Option<Span> {
        self.0.get(name).and_then(|(_, span)| *span)
    }

    pub(super) fn flag(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    pub(super) fn number(&self, name: &str) -> Option<f64> {
        match self.0.get(name) {
            Some((Given::Value(Value::Number(number)), _)) => Some(*number),
            _ => None,
        }
    }

    /// A whole number; it was checked to be one when it was read.
    pub(super) fn count(&self, name: &str) -> Option<usize> {
        self.number(name).map(|number| number as usize)
    }

    pub(super) fn kernel(&self, name: &str) -> Option<[usize; 2]> {
        match self.0.get(name) {
            Some((Given::Value(Value::Kernel(kernel)), _)) => Some(*kernel),
            Some((Given::Value(Value::Number(side)), _)) => Some([*side as usize; 2]),
            _ => None,
        }
    }

    pub(super) fn word(&self, name: &str) -> Option<&str> {
        match self.0.get(name) {
            Some((Given::Value(Value::Word(word)), _)) => Some(word),
            _ => None,
        }
    }

    pub(super) fn activation(&self, name: &str) -> Option<Activation> {
        match self.0.get(name) {
            Some((Given::Activation(activation), _)) => Some(*activation),
            _ => None,
        }
    }

    pub(super) fn group(&self, name: &str) -> Option<Self> {
        match self.0.get(name) {
            Some((Given::Group(arguments), _)) => Some(arguments.clone()),
            Some((Given::Flag, _)) => Some(Self::default()),
            _ => None,
        }
    }

    /// The values as names for a user's block.
    pub(super) fn into_environment(self) -> Environment {
        let value = |(name, (given, _)): (String, (Given, Option<Span>))| match given {
            Given::Value(value) => Some((name, value)),
            Given::Activation(_) | Given::Group(_) | Given::Flag => None,
        };
        self.0.into_iter().filter_map(value).collect()
    }
}

impl<'a> Signature<'a> {
    /// The name and value of one argument.
    fn one(
        &self,
        argument: &Argument,
        environment: &Environment,
        errors: &mut Vec<Error>,
    ) -> Result<(&'a str, Given), Error> {
        match &argument.form {
            Form::Bare(expression) => self.bare(evaluate(expression, environment)?, argument.span),
            Form::Word(name) => self.named(name, environment),
            Form::Short(name, letters, number) => {
                if let Ok(found) = self.named(name, environment) {
                    return Ok(found);
                }
                let spec = self.spec(letters).ok_or_else(|| self.unknown(letters, name.span()))?;
                Ok((spec.name, spec.fit(evaluate(number, environment)?, name.span())?))
            }
            Form::Keyed(name, expression) => {
                let spec = self.spec(&name.to_string());
                let spec = spec.ok_or_else(|| self.unknown(&name.to_string(), name.span()))?;
                Ok((spec.name, spec.fit(evaluate(expression, environment)?, expression.span())?))
            }
            Form::Group(name, given) => {
                let text = name.to_string();
                let spec = self.spec(&text).ok_or_else(|| self.unknown(&text, name.span()))?;
                let Takes::Group(specs) = spec.takes else {
                    return Err(Error::new(name.span(), format!("`{name}` takes no parentheses")));
                };
                let signature = Signature { word: spec.name, bare: "", specs };
                Ok((spec.name, Given::Group(Arguments::read(signature, given, environment, errors))))
            }
        }
    }

    fn spec(&self, name: &str) -> Option<&Spec<'a>> {
        self.specs.iter().find(|spec| spec.name == name)
    }

    /// A value without a name: a kernel, or what the word takes bare.
    fn bare(&self, value: Value, span: Span) -> Result<(&'a str, Given), Error> {
        let spec = match value {
            Value::Kernel(_) => self.spec("k").or_else(|| self.spec(self.bare)),
            Value::Number(_) | Value::Word(_) => self.spec(self.bare),
        };
        let spec = spec.ok_or_else(|| Error::new(span, format!("{} {}", self.what_it_takes(), "by name")))?;
        Ok((spec.name, spec.fit(value, span)?))
    }

    /// A word alone: a flag, a group, an activation, a name that the user chooses, or a value that has it.
    fn named(&self, name: &Ident, environment: &Environment) -> Result<(&'a str, Given), Error> {
        let (text, span) = (name.to_string(), name.span());
        if let Some(spec) = self.spec(&text)
            && matches!(spec.takes, Takes::Flag | Takes::Group(_))
        {
            return Ok((spec.name, Given::Flag));
        }
        if let (Some(spec), Some(activation)) = (self.spec("act"), activation(&text)) {
            let anything = spec.takes == Takes::Anything;
            let value =
                if anything { Given::Value(Value::Word(text)) } else { Given::Activation(activation) };
            return Ok((spec.name, value));
        }
        match (self.spec(self.bare), environment.get(&text)) {
            (Some(spec), _) if spec.takes == Takes::Name => Ok((spec.name, Given::Value(Value::Word(text)))),
            (Some(_), Some(value)) => self.bare(value.clone(), span),
            _ => Err(self.unknown(&text, span)),
        }
    }

    fn unknown(&self, name: &str, span: Span) -> Error {
        Error::new(span, format!("`{}` has no `{name}`; {}", self.word, self.what_it_takes()))
    }

    fn what_it_takes(&self) -> String {
        let names: Vec<&str> = self.specs.iter().map(|spec| spec.name).collect();
        match names[..] {
            [] => "it takes no arguments".into(),
            _ => format!("it takes {}", names.join(", ")),
        }
    }
}

impl Spec<'_> {
    /// The value as this argument takes it.
    fn fit(&self, value: Value, span: Span) -> Result<Given, Error> {
        let refuse = |what: &str| Err(Error::new(span, format!("`{}` takes {what}", self.name)));
        match (self.takes, value) {
            (Takes::Number, value @ Value::Number(_)) | (Takes::Anything, value) => Ok(Given::Value(value)),
            (Takes::Count | Takes::Kernel, Value::Number(n))
                if n.fract() == 0.0 && (0.0..1e9).contains(&n) =>
            {
                Ok(Given::Value(Value::Number(n)))
            }
            (Takes::Kernel, value @ Value::Kernel(_)) | (Takes::Name, value @ Value::Word(_)) => {
                Ok(Given::Value(value))
            }
            (Takes::Activation, Value::Word(name)) => match activation(&name) {
                Some(activation) => Ok(Given::Activation(activation)),
                None => refuse(&format!("an activation, such as relu or hard_swish, not {name}")),
            },
            (Takes::Number, _) => refuse("a number"),
            (Takes::Count, _) => refuse("a whole number"),
            (Takes::Kernel, _) => refuse("a kernel, such as 3x3"),
            (Takes::Activation, _) => refuse("an activation, such as relu or hard_swish"),
            (Takes::Name, _) => refuse("a name"),
            (Takes::Flag | Takes::Group(_), _) => refuse("no value"),
        }
    }
}

/// The activation of a name.
pub(super) fn activation(name: &str) -> Option<Activation> {
    let named = ACTIVATIONS.iter().find(|(other, _)| *other == name);
    named.map(|(_, activation)| *activation)
}

/// Activations by name.
#[rustfmt::skip]
pub(super) const ACTIVATIONS: &[(&str, Activation)] = &[
    ("linear",       Activation::Identity),
    ("relu",         Activation::RELU),
    ("relu6",        Activation::RELU6),
    ("hard_swish",   Activation::HardSwish),
    ("hard_sigmoid", Activation::HARD_SIGMOID),
    ("sigmoid",      Activation::Sigmoid),
    ("silu",         Activation::Silu),
    ("gelu",         Activation::Gelu),
    ("gelu_tanh",    Activation::GeluTanh),
    ("tanh",         Activation::Tanh),
];

/// The value of an expression.
pub(super) fn evaluate(expression: &Expression, environment: &Environment) -> Result<Value, Error> {
    let number = |inner: &Expression| match evaluate(inner, environment)? {
        Value::Number(number) => Ok(number),
        Value::Kernel(_) | Value::Word(_) => {
            Err(Error::new(inner.span(), "this is no number to compute with"))
        }
    };
    Ok(match expression {
        Expression::Number(number, _) => Value::Number(*number),
        Expression::Kernel(kernel, _) => Value::Kernel(*kernel),
        Expression::Name(name) => {
            let text = name.to_string();
            environment.get(&text).cloned().unwrap_or(Value::Word(text))
        }
        Expression::Negated(inner) => Value::Number(-number(inner)?),
        Expression::Binary(left, operation, right) => {
            let (left, right) = (number(left)?, number(right)?);
            Value::Number(match operation {
                Operation::Add => left + right,
                Operation::Subtract => left - right,
                Operation::Multiply => left * right,
                Operation::Divide => left / right,
            })
        }
    })
}
