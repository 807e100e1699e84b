//! From a template's text to its tokens. Text outside of `{{ }}` is one token, with what trim markers take away already gone.
//! Knows no grammar.

use super::unicode;

/// A token and where it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Token<'a> {
    pub(crate) kind: Kind,
    pub(crate) at: usize,
    pub(crate) text: &'a str,
    /// What is wrong, of [`Kind::Error`].
    pub(crate) problem: String,
}

/// The kinds of tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Error,
    End,
    Text,
    Open,
    Close,
    Space,
    /// A comma, or a character that begins nothing.
    Char,
    Pipe,
    Assign,
    Declare,
    OpenParen,
    CloseParen,
    Bool,
    CharConstant,
    Number,
    String,
    RawString,
    Dot,
    Field,
    Variable,
    Identifier,
    Nil,
    Keyword(Keyword),
}

/// The words that begin a control structure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keyword {
    Block,
    Break,
    Continue,
    Define,
    Else,
    End,
    If,
    Range,
    Template,
    With,
}

const KEYWORDS: &[(&str, Keyword)] = &[
    ("block", Keyword::Block),
    ("break", Keyword::Break),
    ("continue", Keyword::Continue),
    ("define", Keyword::Define),
    ("else", Keyword::Else),
    ("end", Keyword::End),
    ("if", Keyword::If),
    ("range", Keyword::Range),
    ("template", Keyword::Template),
    ("with", Keyword::With),
];

const OPEN: &str = "{{";
const CLOSE: &str = "}}";
const OPEN_COMMENT: &str = "/*";
const CLOSE_COMMENT: &str = "*/";
const SPACES: [char; 4] = [' ', '\t', '\r', '\n'];

/// All tokens of a text. The last one is [`Kind::End`] or [`Kind::Error`].
pub(crate) fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut lexer = Lexer { text, at: 0, start: 0, parens: 0, tokens: Vec::new() };
    if let Err(problem) = lexer.run() {
        let at = lexer.start;
        lexer.tokens.push(Token { kind: Kind::Error, at, text: "", problem });
    } else {
        lexer.tokens.push(Token { kind: Kind::End, at: text.len(), text: "", problem: String::new() });
    }
    lexer.tokens
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    /// Where the present token begins.
    start: usize,
    parens: usize,
    tokens: Vec<Token<'a>>,
}

impl<'a> Lexer<'a> {
    fn run(&mut self) -> Result<(), String> {
        while let Some(offset) = self.rest().find(OPEN) {
            let open = self.at + offset;
            let trims = trims_left(&self.text[open + OPEN.len()..]);
            let text = &self.text[self.at..open];
            self.push_text(if trims { text.trim_end_matches(SPACES) } else { text });
            self.at = open;
            self.start = open;
            self.action(trims)?;
        }
        let rest = self.rest();
        self.push_text(rest);
        Ok(())
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn push_text(&mut self, text: &'a str) {
        if !text.is_empty() {
            self.tokens.push(Token { kind: Kind::Text, at: self.at, text, problem: String::new() });
        }
    }

    fn push(&mut self, kind: Kind) {
        let text = &self.text[self.start..self.at];
        self.tokens.push(Token { kind, at: self.start, text, problem: String::new() });
        self.start = self.at;
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.peek();
        self.at += next.map_or(0, char::len_utf8);
        next
    }

    /// Whether a closing delimiter is next, and whether with a trim marker.
    fn close(&self) -> Option<bool> {
        let rest = self.rest();
        if trims_right(rest) && rest[2..].starts_with(CLOSE) {
            return Some(true);
        }
        rest.starts_with(CLOSE).then_some(false)
    }

    fn action(&mut self, trims: bool) -> Result<(), String> {
        self.at += OPEN.len();
        let marker = if trims { 2 } else { 0 };
        if self.rest()[marker..].starts_with(OPEN_COMMENT) {
            self.at += marker;
            self.start = self.at;
            return self.comment();
        }
        self.push(Kind::Open);
        self.at += marker;
        self.start = self.at;
        self.parens = 0;
        loop {
            if let Some(trims) = self.close() {
                if self.parens > 0 {
                    return Err("unclosed left paren".to_owned());
                }
                self.end_action(trims);
                return Ok(());
            }
            self.inside()?;
        }
    }

    fn end_action(&mut self, trims: bool) {
        if trims {
            self.at += 2;
            self.start = self.at;
        }
        self.at += CLOSE.len();
        self.push(Kind::Close);
        self.trim(trims);
    }

    fn trim(&mut self, trims: bool) {
        if trims {
            self.at = self.text.len() - self.rest().trim_start_matches(SPACES).len();
        }
        self.start = self.at;
    }

    fn comment(&mut self) -> Result<(), String> {
        self.at += OPEN_COMMENT.len();
        let Some(end) = self.rest().find(CLOSE_COMMENT) else { return Err("unclosed comment".to_owned()) };
        self.at += end + CLOSE_COMMENT.len();
        let Some(trims) = self.close() else { return Err("comment ends before closing delimiter".to_owned()) };
        self.at += if trims { 2 } else { 0 } + CLOSE.len();
        self.trim(trims);
        Ok(())
    }

    /// One token inside of an action.
    fn inside(&mut self) -> Result<(), String> {
        let Some(next) = self.next() else { return Err("unclosed action".to_owned()) };
        match next {
            ' ' | '\t' | '\r' | '\n' => self.space(),
            '=' => self.push(Kind::Assign),
            ':' => {
                if self.next() != Some('=') {
                    return Err("expected :=".to_owned());
                }
                self.push(Kind::Declare);
            }
            '|' => self.push(Kind::Pipe),
            '"' => return self.quoted('"', Kind::String, "unterminated quoted string"),
            '\'' => return self.quoted('\'', Kind::CharConstant, "unterminated character constant"),
            '`' => return self.raw(),
            '$' => return self.name(Kind::Variable),
            '.' if !self.peek().is_some_and(|next| next.is_ascii_digit()) => {
                return self.name(if self.peek().is_none() { Kind::Dot } else { Kind::Field });
            }
            '.' | '+' | '-' | '0'..='9' => return self.number(),
            '(' => {
                self.parens += 1;
                self.push(Kind::OpenParen);
            }
            ')' => {
                self.parens = self.parens.checked_sub(1).ok_or("unexpected right paren")?;
                self.push(Kind::CloseParen);
            }
            _ if is_name(next) => return self.identifier(),
            _ if next.is_ascii_graphic() => self.push(Kind::Char),
            _ => return Err(format!("unrecognized character in action: {}", unicode::named(next))),
        }
        Ok(())
    }

    /// A run of spaces; the last one belongs to a closing trim marker that follows.
    fn space(&mut self) {
        while self.peek().is_some_and(|next| SPACES.contains(&next)) {
            self.at += 1;
        }
        if self.at > self.start {
            let back = &self.text[self.at - 1..];
            if trims_right(back) && back[2..].starts_with(CLOSE) {
                self.at -= 1;
            }
        }
        if self.at > self.start {
            self.push(Kind::Space);
        }
    }

    fn quoted(&mut self, quote: char, kind: Kind, problem: &str) -> Result<(), String> {
        loop {
            match self.next() {
                Some('\\') if self.peek().is_some_and(|next| next != '\n') => {
                    self.next();
                }
                None | Some('\\' | '\n') => return Err(problem.to_owned()),
                Some(next) if next == quote => break,
                Some(_) => {}
            }
        }
        self.push(kind);
        Ok(())
    }

    fn raw(&mut self) -> Result<(), String> {
        let Some(end) = self.rest().find('`') else { return Err("unterminated raw quoted string".to_owned()) };
        self.at += end + 1;
        self.push(Kind::RawString);
        Ok(())
    }

    /// What follows a dot or a dollar sign.
    fn name(&mut self, kind: Kind) -> Result<(), String> {
        if self.terminated() {
            self.push(if kind == Kind::Variable { Kind::Variable } else { Kind::Dot });
            return Ok(());
        }
        self.absorb();
        self.check_end()?;
        self.push(kind);
        Ok(())
    }

    fn identifier(&mut self) -> Result<(), String> {
        self.absorb();
        self.check_end()?;
        let word = &self.text[self.start..self.at];
        let kind = match word {
            "true" | "false" => Kind::Bool,
            "nil" => Kind::Nil,
            _ => match KEYWORDS.iter().find(|(known, _)| *known == word) {
                Some((_, keyword)) => Kind::Keyword(*keyword),
                None => Kind::Identifier,
            },
        };
        self.push(kind);
        Ok(())
    }

    fn absorb(&mut self) {
        while self.peek().is_some_and(is_name) {
            self.next();
        }
    }

    fn check_end(&self) -> Result<(), String> {
        match self.peek() {
            Some(next) if !self.terminated() => Err(format!("bad character {}", unicode::named(next))),
            _ => Ok(()),
        }
    }

    /// Whether a name may end here.
    fn terminated(&self) -> bool {
        match self.peek() {
            None | Some(' ' | '\t' | '\r' | '\n' | '.' | ',' | '|' | ':' | ')' | '(') => true,
            Some(_) => self.rest().starts_with(CLOSE),
        }
    }

    /// Takes whatever looks like a number; what is wrong in it is found when it is read.
    fn number(&mut self) -> Result<(), String> {
        self.at = self.start;
        let scanned = self.scan_number();
        if scanned && matches!(self.peek(), Some('+' | '-')) {
            self.scan_number();
            return Err(format!("bad number syntax: {} (complex numbers are not supported)", self.so_far()));
        }
        if !scanned {
            return Err(format!("bad number syntax: {}", self.so_far()));
        }
        self.push(Kind::Number);
        Ok(())
    }

    fn so_far(&self) -> String {
        super::quote::quote(&self.text[self.start..self.at])
    }

    fn scan_number(&mut self) -> bool {
        self.accept("+-");
        let mut digits = "0123456789_";
        if self.accept("0") {
            if self.accept("xX") {
                digits = "0123456789abcdefABCDEF_";
            } else if self.accept("oO") {
                digits = "01234567_";
            } else if self.accept("bB") {
                digits = "01_";
            }
        }
        self.accept_run(digits);
        if self.accept(".") {
            self.accept_run(digits);
        }
        let exponent = match digits.len() {
            11 => "eE",
            23 => "pP",
            _ => "",
        };
        if self.accept(exponent) {
            self.accept("+-");
            self.accept_run("0123456789_");
        }
        self.accept("i");
        if self.peek().is_some_and(is_name) {
            self.next();
            return false;
        }
        true
    }

    fn accept(&mut self, valid: &str) -> bool {
        let accepted = self.peek().is_some_and(|next| valid.contains(next));
        if accepted {
            self.next();
        }
        accepted
    }

    fn accept_run(&mut self, valid: &str) {
        while self.accept(valid) {}
    }
}

fn is_name(character: char) -> bool {
    character == '_' || unicode::is_letter(character) || unicode::is_digit(character)
}

/// Whether the rest after `{{` begins with a trim marker.
fn trims_left(rest: &str) -> bool {
    let mut characters = rest.chars();
    characters.next() == Some('-') && characters.next().is_some_and(|next| SPACES.contains(&next))
}

/// Whether a trim marker before `}}` begins here.
fn trims_right(rest: &str) -> bool {
    let mut characters = rest.chars();
    characters.next().is_some_and(|next| SPACES.contains(&next)) && characters.next() == Some('-')
}
