//! Tokens to syntax tree, for the macro and for text alike.
//!
//! Every statement is read by itself: one that cannot be read is reported and passed over, so that all
//! errors are found at once.

mod expression;

use super::ast::{Argument, BlockDefinition, Expression, Form, Setting, SettingValue, Source, Statement};
use expression::{expression, literal, short};
use proc_macro2::{Delimiter, TokenStream, TokenTree};
use syn::ext::IdentExt as _;
use syn::parse::{ParseStream, Parser as _};
use syn::{Attribute, Error, Ident, LitInt, LitStr, Token, Visibility, token};

type Result<T, E = Error> = std::result::Result<T, E>;

/// Brackets within brackets.
const MAX_DEPTH: usize = 64;

/// Reads a model. What cannot be read is reported and left out; `None` where nothing is left.
pub fn parse(tokens: TokenStream, errors: &mut Vec<Error>) -> Option<Source> {
    if let Some(deep) = deeper(tokens.clone(), MAX_DEPTH) {
        errors.push(Error::new(deep.span(), format!("brackets more than {MAX_DEPTH} deep")));
        return None;
    }
    let source = (|input: ParseStream<'_>| source(input, errors)).parse2(tokens);
    source.map_err(|error| errors.push(error)).ok()
}

/// Reads the value of an option, as it stands behind `=`.
///
/// # Errors
///
/// What is no value.
pub fn parse_setting(text: &str) -> Result<SettingValue> {
    let tokens: TokenStream = text.parse()?;
    if let Some(deep) = deeper(tokens.clone(), MAX_DEPTH) {
        return Err(Error::new(deep.span(), "too many brackets"));
    }
    setting_value.parse2(tokens)
}

/// A bracket that lies deeper than `depth`.
fn deeper(tokens: TokenStream, depth: usize) -> Option<TokenTree> {
    let mut levels = vec![tokens.into_iter()];
    while let Some(level) = levels.last_mut() {
        match level.next() {
            Some(TokenTree::Group(group)) => {
                if levels.len() > depth {
                    return Some(TokenTree::Group(group));
                }
                levels.push(group.stream().into_iter());
            }
            Some(_) => {}
            None => {
                levels.pop();
            }
        }
    }
    None
}

fn source(input: ParseStream<'_>, errors: &mut Vec<Error>) -> Result<Source> {
    let mut blocks = Vec::new();
    loop {
        let docs = input.call(Attribute::parse_outer)?;
        let visibility: Visibility = input.parse()?;
        let word = Ident::parse_any(input)?;
        if word == "block" {
            blocks.push(block(input, errors)?);
        } else if word == "mod" {
            let name: Ident = input.parse()?;
            let options = if input.peek(token::Paren) { options(input, errors)? } else { Vec::new() };
            let body = body(input, errors)?;
            return Ok(Source { blocks, docs, visibility, name, options, body });
        } else {
            let error = Error::new(word.span(), format!("expected `block` or `mod`, found `{word}`"));
            let _: TokenStream = input.parse()?;
            return Err(error);
        }
    }
}

/// Behind `block`: `NAME(parameters) { … }`
fn block(input: ParseStream<'_>, errors: &mut Vec<Error>) -> Result<BlockDefinition> {
    let name: Ident = input.parse()?;
    let mut parameters = Vec::new();
    if input.peek(token::Paren) {
        let content;
        syn::parenthesized!(content in input);
        separated(&content, errors, |input| {
            let name: Ident = input.parse()?;
            let given =
                if input.parse::<Option<Token![=]>>()?.is_some() { Some(expression(input)?) } else { None };
            parameters.push((name, given));
            Ok(())
        });
    }
    Ok(BlockDefinition { name, parameters, body: body(input, errors)? })
}

fn options(input: ParseStream<'_>, errors: &mut Vec<Error>) -> Result<Vec<Setting>> {
    let content;
    syn::parenthesized!(content in input);
    let mut options = Vec::new();
    separated(&content, errors, |input| {
        let name: Ident = input.parse()?;
        input.parse::<Token![=]>()?;
        options.push(Setting { name, value: setting_value(input)? });
        Ok(())
    });
    Ok(options)
}

fn setting_value(input: ParseStream<'_>) -> Result<SettingValue> {
    if input.peek(LitStr) {
        return Ok(SettingValue::Text(input.parse()?));
    }
    if input.peek(token::Bracket) {
        let content;
        let bracket = syn::bracketed!(content in input);
        let mut values = Vec::new();
        let mut errors = Vec::new();
        separated(&content, &mut errors, |input| {
            values.push(expression(input)?);
            Ok(())
        });
        return match errors.into_iter().next() {
            Some(error) => Err(error),
            None => Ok(SettingValue::List(values, bracket.span.join())),
        };
    }
    Ok(SettingValue::One(expression(input)?))
}

/// Items with commas between them. An item that cannot be read is passed over, up to its comma.
fn separated(
    input: ParseStream<'_>,
    errors: &mut Vec<Error>,
    mut item: impl FnMut(ParseStream<'_>) -> Result<()>,
) {
    while !input.is_empty() {
        let read = item(input)
            .and_then(|()| if input.is_empty() { Ok(()) } else { input.parse::<Token![,]>().map(|_| ()) });
        if let Err(error) = read {
            errors.push(error);
            skip(input, |tree| matches!(tree, TokenTree::Punct(punct) if punct.as_char() == ','));
        }
    }
}

/// Passes over tokens up to and with the first that ends what could not be read.
fn skip(input: ParseStream<'_>, ends: impl Fn(&TokenTree) -> bool) {
    while let Ok(tree) = input.parse::<TokenTree>() {
        if ends(&tree) {
            break;
        }
    }
}

fn body(input: ParseStream<'_>, errors: &mut Vec<Error>) -> Result<Vec<Statement>> {
    let content;
    syn::braced!(content in input);
    let mut statements = Vec::new();
    while !content.is_empty() {
        match statement(&content, errors) {
            Ok(statement) => statements.push(statement),
            Err(error) => {
                errors.push(error);
                skip(&content, |tree| match tree {
                    TokenTree::Punct(punct) => punct.as_char() == ';',
                    TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
                    TokenTree::Ident(_) | TokenTree::Literal(_) => false,
                });
            }
        }
    }
    Ok(statements)
}

fn statement(input: ParseStream<'_>, errors: &mut Vec<Error>) -> Result<Statement> {
    let mut word = Ident::parse_any(input)?;
    let mut label = None;
    if input.parse::<Option<Token![:]>>()?.is_some() {
        label = Some(std::mem::replace(&mut word, Ident::parse_any(input)?));
    }
    let mut arguments = Vec::new();
    loop {
        if input.peek(token::Brace) {
            let body = Some(body(input, errors)?);
            return Ok(Statement { label, word, arguments, body });
        }
        if input.parse::<Option<Token![;]>>()?.is_some() {
            return Ok(Statement { label, word, arguments, body: None });
        }
        if input.is_empty() {
            return Err(Error::new(word.span(), format!("`{word} …` ends without `;`")));
        }
        arguments.push(argument(input)?);
    }
}

fn argument(input: ParseStream<'_>) -> Result<Argument> {
    let span = input.span();
    let form = if input.peek(Ident::peek_any) {
        let name = Ident::parse_any(input)?;
        if input.parse::<Option<Token![=]>>()?.is_some() {
            Form::Keyed(name, expression(input)?)
        } else if input.peek(token::Paren) {
            Form::Group(name, arguments(input)?)
        } else {
            short(input, name)?
        }
    } else if input.peek(token::Paren) {
        Form::Bare(expression(input)?)
    } else if input.peek(syn::LitFloat) || input.peek(LitInt) {
        Form::Bare(literal(input)?)
    } else {
        return Err(input.error("expected an argument, such as `c32`, `3x3` or `relu`, or `;`"));
    };
    Ok(Argument { span, form })
}

/// Arguments in parentheses; commas may stand between them.
fn arguments(input: ParseStream<'_>) -> Result<Vec<Argument>> {
    let content;
    syn::parenthesized!(content in input);
    let mut all = Vec::new();
    while !content.is_empty() {
        match argument(&content) {
            Ok(argument) => all.push(argument),
            Err(error) => {
                let _: TokenStream = content.parse()?;
                return Err(error);
            }
        }
        content.parse::<Option<Token![,]>>()?;
    }
    Ok(all)
}

/// An expression in parentheses, all of it.
fn parenthesized(input: ParseStream<'_>) -> Result<Expression> {
    let content;
    syn::parenthesized!(content in input);
    let read = expression(&content);
    let rest: TokenStream = content.parse()?;
    match rest.into_iter().next() {
        Some(token) if read.is_ok() => Err(Error::new(token.span(), "expected `)`")),
        _ => read,
    }
}
