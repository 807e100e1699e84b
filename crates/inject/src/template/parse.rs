//! From tokens to trees: the grammar. Functions are looked up here, so that a name that does not exist is found before anything is
//! rendered.

use std::collections::BTreeMap;

use super::error::{Error, Kind as ErrorKind, place};
use super::functions;
use super::lex::{self, Keyword, Kind, Token};
use super::tree::{Branches, Command, Invocation, Node, Nodes, Pipe, Range, Term, TermKind, is_blank};
use super::{number, quote};

mod pipeline;

/// How deep blocks and parentheses may lie in each other.
const NESTING: usize = 100;
/// How long a text may be, in bytes: four times of what a ConfigMap can hold.
const LENGTH: usize = 4 << 20;

/// The templates that a text defines, the text itself among them under its own name.
pub(crate) fn parse(name: &str, text: &str) -> Result<BTreeMap<String, Nodes>, Error> {
    if text.len() > LENGTH {
        let message = format!("the text is longer than {LENGTH} bytes");
        return Err(Error { template: name.to_owned(), line: 1, column: 0, kind: ErrorKind::Syntax, message });
    }
    let tokens = lex::tokens(text);
    let mut parser = Parser {
        name,
        text,
        tokens: &tokens,
        next: 0,
        variables: vec!["$".to_owned()],
        ranges: 0,
        depth: 0,
        action: None,
        defined: BTreeMap::new(),
    };
    parser.top()?;
    Ok(parser.defined)
}

struct Parser<'a> {
    name: &'a str,
    text: &'a str,
    tokens: &'a [Token<'a>],
    next: usize,
    /// Those that may be used here.
    variables: Vec<String>,
    /// How many ranges are around.
    ranges: usize,
    depth: usize,
    /// Where the present action began.
    action: Option<usize>,
    defined: BTreeMap<String, Nodes>,
}

/// How a list of nodes ended.
enum Ending {
    End,
    Else,
    /// `else if` or `else with`: the keyword is still to be read.
    ElseIf,
    ElseWith,
}

type Parsed<T> = Result<T, Box<Error>>;

impl From<Box<Error>> for Error {
    fn from(error: Box<Error>) -> Self {
        *error
    }
}

impl<'a> Parser<'a> {
    fn top(&mut self) -> Parsed<()> {
        let mut nodes = Nodes::new();
        while self.peek().kind != Kind::End {
            if self.is_definition() {
                self.definition()?;
            } else {
                match self.node()? {
                    Ok(node) => nodes.push(node),
                    Err(Ending::End) => return self.fail("unexpected {{end}}"),
                    Err(_) => return self.fail("unexpected {{else}}"),
                }
            }
        }
        self.define(self.name.to_owned(), nodes)
    }

    // Tokens.

    fn peek(&self) -> &'a Token<'a> {
        &self.tokens[self.next.min(self.tokens.len() - 1)]
    }

    fn take(&mut self) -> &'a Token<'a> {
        let token = self.peek();
        self.next += 1;
        token
    }

    fn skip_space(&mut self) {
        while self.peek().kind == Kind::Space {
            self.next += 1;
        }
    }

    fn peek_word(&mut self) -> &'a Token<'a> {
        self.skip_space();
        self.peek()
    }

    fn take_word(&mut self) -> &'a Token<'a> {
        self.skip_space();
        self.take()
    }

    fn expect_close(&mut self, context: &str) -> Parsed<()> {
        let token = self.take_word();
        if token.kind == Kind::Close { Ok(()) } else { self.unexpected(token, context) }
    }

    // Mistakes.

    /// A mistake at the token that was taken last.
    fn fail<T>(&self, message: impl Into<String>) -> Parsed<T> {
        let at = self.tokens[self.next.saturating_sub(1).min(self.tokens.len() - 1)].at;
        self.fail_at(at, message)
    }

    fn fail_at<T>(&self, at: usize, message: impl Into<String>) -> Parsed<T> {
        let (line, column) = place(self.text, at);
        let template = self.name.to_owned();
        Err(Box::new(Error { template, line, column, kind: ErrorKind::Syntax, message: message.into() }))
    }

    fn unexpected<T>(&self, token: &Token<'_>, context: &str) -> Parsed<T> {
        if token.kind != Kind::Error {
            return self.fail_at(token.at, format!("unexpected {} in {context}", described(token)));
        }
        let mut message = token.problem.clone();
        if let Some(action) = self.action {
            let (started, _) = place(self.text, action);
            if started != place(self.text, token.at).0 {
                let word = if message.ends_with(" action") { "" } else { " in action" };
                message.push_str(&format!("{word} started at {}:{started}", self.name));
            }
        }
        self.fail_at(token.at, message)
    }

    fn deeper(&mut self) -> Parsed<()> {
        self.depth += 1;
        if self.depth > NESTING {
            return self.fail(format!("blocks and parentheses nest deeper than {NESTING} levels"));
        }
        Ok(())
    }

    // Definitions.

    fn is_definition(&self) -> bool {
        let mut rest = self.tokens[self.next..].iter();
        rest.next().is_some_and(|token| token.kind == Kind::Open)
            && rest
                .find(|token| token.kind != Kind::Space)
                .is_some_and(|token| token.kind == Kind::Keyword(Keyword::Define))
    }

    fn definition(&mut self) -> Parsed<()> {
        let context = "define clause";
        self.take();
        self.take_word();
        let name = self.template_name(context)?;
        self.expect_close(context)?;
        let nodes = self.body(context)?;
        self.define(name, nodes)
    }

    /// The nodes of a template of its own: it sees no variables and no ranges of what is around.
    fn body(&mut self, context: &str) -> Parsed<Nodes> {
        let variables = std::mem::replace(&mut self.variables, vec!["$".to_owned()]);
        let ranges = std::mem::take(&mut self.ranges);
        let (nodes, ending) = self.nodes()?;
        self.variables = variables;
        self.ranges = ranges;
        match ending {
            Ending::End => Ok(nodes),
            _ => self.fail(format!("unexpected {{{{else}}}} in {context}")),
        }
    }

    fn define(&mut self, name: String, nodes: Nodes) -> Parsed<()> {
        match self.defined.get(&name) {
            Some(before) if !is_blank(before) => {
                if is_blank(&nodes) {
                    return Ok(());
                }
                self.fail(format!("template: multiple definition of template {}", quote::quote(&name)))
            }
            _ => {
                self.defined.insert(name, nodes);
                Ok(())
            }
        }
    }

    fn template_name(&mut self, context: &str) -> Parsed<String> {
        let token = self.take_word();
        match token.kind {
            Kind::String | Kind::RawString => self.unquoted(token),
            _ => self.unexpected(token, context),
        }
    }

    fn unquoted(&self, token: &Token<'_>) -> Parsed<String> {
        match quote::unquote(token.text) {
            Some(text) => Ok(text),
            None => self.fail_at(token.at, format!("invalid syntax: {}", token.text)),
        }
    }

    // Nodes.

    /// Nodes up to an `end` or `else`, which is taken.
    fn nodes(&mut self) -> Parsed<(Nodes, Ending)> {
        let mut nodes = Nodes::new();
        while self.peek_word().kind != Kind::End {
            match self.node()? {
                Ok(node) => nodes.push(node),
                Err(ending) => return Ok((nodes, ending)),
            }
        }
        self.next += 1;
        self.fail("unexpected EOF")
    }

    fn node(&mut self) -> Parsed<Result<Node, Ending>> {
        let token = self.take_word();
        match token.kind {
            Kind::Text => Ok(Ok(Node::Text(token.at, token.text.to_owned()))),
            Kind::Open => {
                self.action = Some(token.at);
                let node = self.action()?;
                self.action = None;
                Ok(node)
            }
            _ => self.unexpected(token, "input"),
        }
    }

    fn action(&mut self) -> Parsed<Result<Node, Ending>> {
        let token = self.peek_word();
        let Kind::Keyword(keyword) = token.kind else {
            return Ok(Ok(Node::Action(self.pipeline("command", Kind::Close)?)));
        };
        if keyword != Keyword::Define {
            self.take();
        }
        Ok(Ok(match keyword {
            Keyword::Block => self.block(token)?,
            Keyword::Break => self.jump(Node::Break, "{{break}}")?,
            Keyword::Continue => self.jump(Node::Continue, "{{continue}}")?,
            Keyword::Else => return Ok(Err(self.otherwise()?)),
            Keyword::End => {
                self.expect_close("end")?;
                return Ok(Err(Ending::End));
            }
            Keyword::If => Node::If(self.branches(Keyword::If)?),
            Keyword::With => Node::With(self.branches(Keyword::With)?),
            Keyword::Range => self.range()?,
            Keyword::Template => self.invocation(token)?,
            Keyword::Define => Node::Action(self.pipeline("command", Kind::Close)?),
        }))
    }

    fn otherwise(&mut self) -> Parsed<Ending> {
        match self.peek_word().kind {
            Kind::Keyword(Keyword::If) => Ok(Ending::ElseIf),
            Kind::Keyword(Keyword::With) => Ok(Ending::ElseWith),
            _ => {
                self.expect_close("else")?;
                Ok(Ending::Else)
            }
        }
    }

    fn jump(&mut self, node: Node, written: &str) -> Parsed<Node> {
        self.expect_close(written)?;
        if self.ranges == 0 {
            return self.fail(format!("{written} outside {{{{range}}}}"));
        }
        Ok(node)
    }

    fn branches(&mut self, keyword: Keyword) -> Parsed<Branches> {
        self.deeper()?;
        let scope = self.variables.len();
        let context = if keyword == Keyword::If { "if" } else { "with" };
        let mut branches = Branches { arms: Vec::new(), otherwise: None };
        loop {
            let pipe = self.pipeline(context, Kind::Close)?;
            let (nodes, ending) = self.nodes()?;
            branches.arms.push((pipe, nodes));
            match (ending, keyword) {
                (Ending::End, _) => break,
                (Ending::ElseIf, Keyword::If) | (Ending::ElseWith, Keyword::With) => {
                    self.take();
                }
                (Ending::Else, _) => {
                    branches.otherwise = Some(self.last_nodes()?);
                    break;
                }
                (Ending::ElseIf | Ending::ElseWith, _) => return self.unexpected(self.peek(), "input"),
            }
        }
        self.variables.truncate(scope);
        self.depth -= 1;
        Ok(branches)
    }

    fn last_nodes(&mut self) -> Parsed<Nodes> {
        let (nodes, ending) = self.nodes()?;
        match ending {
            Ending::End => Ok(nodes),
            _ => self.fail("expected end; found {{else}}"),
        }
    }

    fn range(&mut self) -> Parsed<Node> {
        self.deeper()?;
        let scope = self.variables.len();
        let pipe = self.pipeline("range", Kind::Close)?;
        self.ranges += 1;
        let (body, ending) = self.nodes()?;
        self.ranges -= 1;
        let otherwise = match ending {
            Ending::End => None,
            Ending::Else => Some(self.last_nodes()?),
            Ending::ElseIf | Ending::ElseWith => return self.unexpected(self.peek(), "input"),
        };
        self.variables.truncate(scope);
        self.depth -= 1;
        Ok(Node::Range(Box::new(Range { pipe, body, otherwise })))
    }

    fn block(&mut self, keyword: &Token<'_>) -> Parsed<Node> {
        self.deeper()?;
        let context = "block clause";
        let name = self.template_name(context)?;
        let pipe = self.pipeline(context, Kind::Close)?;
        let nodes = self.body(context)?;
        self.define(name.clone(), nodes)?;
        self.depth -= 1;
        Ok(Node::Template(Invocation { at: keyword.at, name, pipe: Some(pipe) }))
    }

    fn invocation(&mut self, keyword: &Token<'_>) -> Parsed<Node> {
        let context = "template clause";
        let at = self.peek_word().at.max(keyword.at);
        let name = self.template_name(context)?;
        let pipe = if self.peek_word().kind == Kind::Close {
            self.take();
            None
        } else {
            Some(self.pipeline(context, Kind::Close)?)
        };
        Ok(Node::Template(Invocation { at, name, pipe }))
    }
}

/// A token as a message has it.
fn described(token: &Token<'_>) -> String {
    match token.kind {
        Kind::End => "EOF".to_owned(),
        Kind::Dot | Kind::Nil | Kind::Keyword(_) => format!("<{}>", token.text),
        _ if token.text.len() > 10 => {
            let start: String = token.text.chars().take(10).collect();
            format!("{}...", quote::quote(&start))
        }
        _ => quote::quote(token.text),
    }
}
