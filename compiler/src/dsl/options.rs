//! The options of a model: `alpha = 0.35`, in its parentheses or from outside.

use super::arguments::{Environment, Value, activation, evaluate};
use super::ast::{Expression, Setting, SettingValue, Source};
use super::layers::Padding;
use super::parse::parse_setting;
use super::settings::{Layout, Settings};
use proc_macro2::Span;
use std::collections::BTreeMap;
use syn::{Error, Ident};

/// Everything that the options say.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// What holds for the network.
    pub settings: Settings,
    /// Where its weights come from.
    pub weights: WeightsOptions,
    /// What a macro compiles for.
    pub target: Option<String>,
    /// Where the options stand.
    pub(super) spans: BTreeMap<&'static str, Span>,
}

/// Where weights come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WeightsOptions {
    /// A safetensors or ONNX file.
    pub file: Option<String>,
    /// By which names the file calls its tensors.
    pub names: Option<String>,
    /// Random ones instead.
    pub seed: Option<u64>,
}

type Set = fn(&mut Options, &Reader<'_>) -> Result<(), Error>;

/// All options, with what each takes.
#[rustfmt::skip]
const OPTIONS: &[(&str, Set)] = &[
    ("alpha",         |o, v| { o.settings.scaling.alpha = v.number()?; Ok(()) }),
    ("input",         |o, v| { o.settings.input = v.shape()?; Ok(()) }),
    ("rho",           |o, v| { let side = v.count()?; o.settings.input[..2].fill(side); Ok(()) }),
    ("layout",        |o, v| { o.settings.layout = v.choice(&[("nhwc", Layout::Nhwc), ("nchw", Layout::Nchw)])?; Ok(()) }),
    ("classes",       |o, v| { o.settings.classes = v.count()?; Ok(()) }),
    ("padding",       |o, v| { o.settings.padding = v.choice(PADDINGS)?; Ok(()) }),
    ("bn_eps",        |o, v| { o.settings.bn_eps = v.number()?; Ok(()) }),
    ("activation",    |o, v| { o.settings.activation = v.activation()?; Ok(()) }),
    ("divisor",       |o, v| { o.settings.scaling.divisor = v.count()?; Ok(()) }),
    ("min_width",     |o, v| { o.settings.scaling.min_width = v.count()?; Ok(()) }),
    ("output_stride", |o, v| { o.settings.output_stride = Some(v.count()?); Ok(()) }),
    ("outputs",       |o, v| { o.settings.outputs = v.words()?; Ok(()) }),
    ("weights",       |o, v| { o.weights.file = Some(v.text()?); Ok(()) }),
    ("names",         |o, v| { o.weights.names = Some(v.word()?); Ok(()) }),
    ("seed",          |o, v| { o.weights.seed = Some(v.count()? as u64); Ok(()) }),
    ("target",        |o, v| { o.target = Some(v.text()?); Ok(()) }),
];

const PADDINGS: &[(&str, Padding)] =
    &[("same", Padding::Same), ("symmetric", Padding::Symmetric), ("valid", Padding::Valid)];

impl Options {
    /// What a model's options say, and then those from outside, as text by name.
    /// What cannot be read is reported and left out.
    pub(super) fn read(source: &Source, overrides: &[(String, String)], errors: &mut Vec<Error>) -> Self {
        let mut options = Self::default();
        let mut given: Vec<String> = Vec::new();
        for setting in &source.options {
            let name = setting.name.to_string();
            if given.contains(&name) {
                errors.push(Error::new(setting.name.span(), format!("`{name}` was given before")));
            }
            given.push(name);
            errors.extend(options.set(setting).err());
        }
        for (name, text) in overrides {
            errors.extend(options.overrule(name, text).err());
        }
        options
    }

    fn set(&mut self, Setting { name, value }: &Setting) -> Result<(), Error> {
        let text = name.to_string();
        let Some((known, set)) = OPTIONS.iter().find(|(known, _)| *known == text) else {
            let known: Vec<&str> = OPTIONS.iter().map(|(known, _)| *known).collect();
            let message = format!("there is no option `{text}`; there are {}", known.join(", "));
            return Err(Error::new(name.span(), message));
        };
        self.spans.insert(known, value.span());
        set(self, &Reader { name: known, value })
    }

    /// An option from outside. Lists may do without brackets, texts without quotes.
    fn overrule(&mut self, name: &str, text: &str) -> Result<(), Error> {
        let at = Span::call_site();
        let explain = |error: Error| Error::new(at, format!("{name}={text}: {error}"));
        let ident: Ident = syn::parse_str(name).map_err(explain)?;
        let quoted = format!("{text:?}");
        let listed = format!("[{text}]");
        let text = match name {
            "weights" | "target" => quoted.as_str(),
            "input" | "outputs" if !text.starts_with('[') => listed.as_str(),
            _ => text,
        };
        let value = parse_setting(text).map_err(explain)?;
        self.set(&Setting { name: Ident::new(&ident.to_string(), at), value }).map_err(explain)
    }

    /// Where the value of an option stands, if it was given.
    pub fn span(&self, name: &str) -> Option<Span> {
        self.spans.get(name).copied()
    }

    /// The numbers that layers may compute with.
    pub(super) fn environment(&self) -> Environment {
        let numbers = [
            ("alpha", self.settings.scaling.alpha),
            ("classes", self.settings.classes as f64),
            ("height", self.settings.input[0] as f64),
            ("width", self.settings.input[1] as f64),
        ];
        numbers.into_iter().map(|(name, number)| (name.to_owned(), Value::Number(number))).collect()
    }
}

impl SettingValue {
    fn span(&self) -> Span {
        match self {
            Self::Text(text) => text.span(),
            Self::List(_, span) => *span,
            Self::One(expression) => expression.span(),
        }
    }
}

/// The value of an option, read as what the option takes.
struct Reader<'a> {
    name: &'static str,
    value: &'a SettingValue,
}

impl Reader<'_> {
    fn refuse<T>(&self, what: &str) -> Result<T, Error> {
        Err(Error::new(self.value.span(), format!("`{}` takes {what}", self.name)))
    }

    fn one(&self) -> Result<Option<Value>, Error> {
        match self.value {
            SettingValue::One(expression) => Ok(Some(evaluate(expression, &Environment::new())?)),
            SettingValue::Text(_) | SettingValue::List(..) => Ok(None),
        }
    }

    fn number(&self) -> Result<f64, Error> {
        match self.one()? {
            Some(Value::Number(number)) => Ok(number),
            _ => self.refuse("a number"),
        }
    }

    fn count(&self) -> Result<usize, Error> {
        match self.one()? {
            Some(Value::Number(number)) if number.fract() == 0.0 && (0.0..9e15).contains(&number) => {
                Ok(number as usize)
            }
            _ => self.refuse("a whole number"),
        }
    }

    fn text(&self) -> Result<String, Error> {
        match self.value {
            SettingValue::Text(text) => Ok(text.value()),
            SettingValue::One(_) | SettingValue::List(..) => self.refuse("a text in quotes"),
        }
    }

    fn word(&self) -> Result<String, Error> {
        match self.one()? {
            Some(Value::Word(word)) => Ok(word),
            _ => self.refuse("a word"),
        }
    }

    fn choice<T: Copy>(&self, choices: &[(&str, T)]) -> Result<T, Error> {
        let word = self.word().unwrap_or_default();
        match choices.iter().find(|(name, _)| *name == word) {
            Some((_, choice)) => Ok(*choice),
            None => self.refuse(&choices.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(" or ")),
        }
    }

    fn activation(&self) -> Result<crate::ops::activation::Activation, Error> {
        match activation(&self.word().unwrap_or_default()) {
            Some(activation) => Ok(activation),
            None => self.refuse("an activation, such as relu6 or hard_swish"),
        }
    }

    fn list(&self) -> &[Expression] {
        match self.value {
            SettingValue::List(values, _) => values,
            SettingValue::One(expression) => std::slice::from_ref(expression),
            SettingValue::Text(_) => &[],
        }
    }

    fn shape(&self) -> Result<[usize; 3], Error> {
        let mut shape = Vec::new();
        for expression in self.list() {
            match evaluate(expression, &Environment::new())? {
                Value::Number(n) if n.fract() == 0.0 && (1.0..1e9).contains(&n) => shape.push(n as usize),
                _ => break,
            }
        }
        match shape[..] {
            [height, width, channels] if self.list().len() == 3 => Ok([height, width, channels]),
            _ => self.refuse("height, width and channels, such as [96, 96, 3]"),
        }
    }

    fn words(&self) -> Result<Vec<String>, Error> {
        let mut words = Vec::new();
        for expression in self.list() {
            match expression {
                Expression::Name(name) => words.push(name.to_string()),
                _ => return self.refuse("names of taps, such as [p3, p4]"),
            }
        }
        if words.is_empty() { self.refuse("names of taps, such as [p3, p4]") } else { Ok(words) }
    }
}
