//! Models as text: the same tokens, and errors with lines and columns.

use super::{Description, describe_tokens};
use crate::error::{Error, Fault, Problem};
use proc_macro2::TokenStream;

/// Reads and builds a network from text; `name` is what messages call it, such as the file's name, and
/// `overrides` are options from outside, by name.
///
/// # Errors
///
/// Everything that is wrong, each with its line.
pub fn describe(name: &str, text: &str, overrides: &[(String, String)]) -> Result<Description, Error> {
    let tokens: TokenStream = tokens(text).map_err(|error| listed(name, text, vec![error]))?;
    describe_tokens(tokens, overrides).map_err(|errors| listed(name, text, errors))
}

/// Brackets within brackets, counted before anything is read: comments may count as well.
const MAX_DEPTH: usize = 256;

pub(super) fn tokens(text: &str) -> Result<TokenStream, syn::Error> {
    let mut depth = 0_usize;
    for byte in text.bytes() {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_DEPTH {
            let message = format!("brackets more than {MAX_DEPTH} deep");
            return Err(syn::Error::new(proc_macro2::Span::call_site(), message));
        }
    }
    text.parse().map_err(syn::Error::from)
}

fn listed(name: &str, text: &str, errors: Vec<syn::Error>) -> Error {
    let errors: Vec<syn::Error> = errors.into_iter().flatten().collect();
    let summary = match errors.len() {
        1 => format!("{name} cannot be read"),
        count => format!("{name} cannot be read: {count} problems"),
    };
    let problem = |error: &syn::Error| Problem::whole(Fault::model(placed(text, error)));
    Error::problems(summary, errors.iter().map(problem).collect())
}

/// `4:24: message`, the line, and what is meant in it.
fn placed(text: &str, error: &syn::Error) -> String {
    let (start, end) = (error.span().start(), error.span().end());
    let Some(line) = text.lines().nth(start.line.wrapping_sub(1)).filter(|_| start != end) else {
        return error.to_string();
    };
    let stop = if end.line == start.line { end.column } else { line.chars().count() };
    let marks = "^".repeat(stop.saturating_sub(start.column).max(1));
    let indent: String =
        line.chars().take(start.column).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
    format!("{}:{}: {error}\n    {line}\n    {indent}{marks}", start.line, start.column + 1)
}
