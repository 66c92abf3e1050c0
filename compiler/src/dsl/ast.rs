//! The syntax tree: what stands in the text, with the places where it stands, before words mean anything.

use proc_macro2::Span;
use syn::{Attribute, Ident, LitStr, Visibility};

/// A model and the blocks that it defines.
#[derive(Clone)]
pub struct Source {
    /// `block NAME(parameters) { … }`
    pub blocks: Vec<BlockDefinition>,
    /// Documentation comments.
    pub docs: Vec<Attribute>,
    /// Of the module that a macro makes.
    pub visibility: Visibility,
    /// The model's name.
    pub name: Ident,
    /// `name = value` in its parentheses.
    pub options: Vec<Setting>,
    /// Its layers.
    pub body: Vec<Statement>,
}

/// An option of the model.
#[derive(Clone)]
pub struct Setting {
    /// Its name.
    pub name: Ident,
    /// Its value.
    pub value: SettingValue,
}

/// The value of an option.
#[derive(Clone)]
pub enum SettingValue {
    /// `"net.safetensors"`
    Text(LitStr),
    /// `[96, 96, 3]`
    List(Vec<Expression>, Span),
    /// `0.35`, `same`
    One(Expression),
}

/// A block that the user defines.
#[derive(Clone)]
pub struct BlockDefinition {
    /// Its word.
    pub name: Ident,
    /// Its parameters, with what they are when not given.
    pub parameters: Vec<(Ident, Option<Expression>)>,
    /// Its layers.
    pub body: Vec<Statement>,
}

/// One layer, block, or group of them.
#[derive(Clone)]
pub struct Statement {
    /// What it is called: `stem: conv 3x3 c32;`
    pub label: Option<Ident>,
    /// What it is.
    pub word: Ident,
    /// Its arguments, in the order in which they stand.
    pub arguments: Vec<Argument>,
    /// What stands in its braces.
    pub body: Option<Vec<Statement>>,
}

/// One argument of a statement.
#[derive(Clone)]
pub struct Argument {
    /// Where it stands.
    pub span: Span,
    /// How it is written.
    pub form: Form,
}

/// How an argument is written.
#[derive(Clone)]
pub enum Form {
    /// `3x3`, `1000`, `(in * 2)`
    Bare(Expression),
    /// `bn`, `relu`
    Word(Ident),
    /// `c32`, `t88/24`: the whole word, its letters, and the number behind them.
    Short(Ident, String, Expression),
    /// `gate = sigmoid`
    Keyed(Ident, Expression),
    /// `se(r = 0.25)`
    Group(Ident, Vec<Argument>),
}

/// Arithmetic on numbers, or a single kernel or name.
#[derive(Clone)]
pub enum Expression {
    /// `6`, `0.25`
    Number(f64, Span),
    /// `5x5`
    Kernel([usize; 2], Span),
    /// A parameter of the block, an option of the model, or a word such as `relu`.
    Name(Ident),
    /// `-x`
    Negated(Box<Expression>),
    /// `a + b`, `a - b`, `a * b`, `a / b`
    Binary(Box<Expression>, Operation, Box<Expression>),
}

/// What joins two numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`
    Divide,
}

impl Expression {
    /// Where it starts.
    pub fn span(&self) -> Span {
        match self {
            Self::Number(_, span) | Self::Kernel(_, span) => *span,
            Self::Name(name) => name.span(),
            Self::Negated(inner) | Self::Binary(inner, _, _) => inner.span(),
        }
    }
}
