//! Numbers, kernels, and arithmetic.

use super::parenthesized;
use crate::dsl::ast::{Expression, Form, Operation};
use syn::ext::IdentExt as _;
use syn::parse::ParseStream;
use syn::{Error, Ident, Lit, LitInt, Result, Token, token};

/// Terms with `+` and `-` between them.
pub(super) fn expression(input: ParseStream<'_>) -> Result<Expression> {
    let mut left = term(input)?;
    loop {
        let operation = if input.parse::<Option<Token![+]>>()?.is_some() {
            Operation::Add
        } else if input.parse::<Option<Token![-]>>()?.is_some() {
            Operation::Subtract
        } else {
            return Ok(left);
        };
        left = Expression::Binary(Box::new(left), operation, Box::new(term(input)?));
    }
}

/// Factors with `*` and `/` between them.
fn term(input: ParseStream<'_>) -> Result<Expression> {
    let mut left = factor(input)?;
    loop {
        let operation = if input.parse::<Option<Token![*]>>()?.is_some() {
            Operation::Multiply
        } else if input.parse::<Option<Token![/]>>()?.is_some() {
            Operation::Divide
        } else {
            return Ok(left);
        };
        left = Expression::Binary(Box::new(left), operation, Box::new(factor(input)?));
    }
}

fn factor(input: ParseStream<'_>) -> Result<Expression> {
    let minus = input.parse::<Option<Token![-]>>()?.is_some();
    let value = if input.peek(token::Paren) {
        parenthesized(input)?
    } else if input.peek(Ident::peek_any) {
        Expression::Name(Ident::parse_any(input)?)
    } else {
        literal(input)?
    };
    Ok(if minus { Expression::Negated(Box::new(value)) } else { value })
}

/// `6`, `0.25`, `3x3`
pub(super) fn literal(input: ParseStream<'_>) -> Result<Expression> {
    let expected = "expected a number, a kernel such as `3x3`, or a name";
    let literal: Lit = input.parse().map_err(|error| Error::new(error.span(), expected))?;
    let span = literal.span();
    match &literal {
        Lit::Int(int) if int.suffix().is_empty() => Ok(Expression::Number(int.base10_parse::<f64>()?, span)),
        Lit::Int(int) => match kernel(int) {
            Some(kernel) => Ok(Expression::Kernel(kernel, span)),
            None => Err(Error::new(span, format!("`{int}` is neither a number nor a kernel such as `3x3`"))),
        },
        Lit::Float(float) if float.suffix().is_empty() => Ok(Expression::Number(float.base10_parse()?, span)),
        _ => Err(Error::new(span, expected)),
    }
}

/// `3x5` is read as the number 3 with the suffix `x5`.
fn kernel(int: &LitInt) -> Option<[usize; 2]> {
    let width = int.suffix().strip_prefix('x')?;
    Some([int.base10_digits().parse().ok()?, width.parse().ok()?])
}

/// `c32`, `t2.5`, `t88/24`, or a word as it stands.
pub(super) fn short(input: ParseStream<'_>, name: Ident) -> Result<Form> {
    let text = name.to_string();
    let letters = text.trim_end_matches(|c: char| c.is_ascii_digit());
    let digits = &text[letters.len()..];
    if letters.is_empty() || digits.is_empty() {
        return Ok(Form::Word(name));
    }
    let mut number = digits.to_owned();
    if input.peek(Token![.]) {
        input.parse::<Token![.]>()?;
        let decimals: LitInt = input.parse()?;
        if decimals.base10_digits() != decimals.to_string() {
            return Err(Error::new(decimals.span(), "expected decimals"));
        }
        number += &format!(".{decimals}");
    }
    let value = number.parse().map_err(|_| Error::new(name.span(), format!("`{number}` is no number")))?;
    let mut value = Expression::Number(value, name.span());
    if input.parse::<Option<Token![/]>>()?.is_some() {
        let divisor = if input.peek(token::Paren) { parenthesized(input)? } else { literal(input)? };
        value = Expression::Binary(Box::new(value), Operation::Divide, Box::new(divisor));
    }
    Ok(Form::Short(name, letters.to_owned(), value))
}
