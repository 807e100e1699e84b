//! What stands inside of an action: pipelines, commands, terms.

use super::{Command, Kind, Parsed, Parser, Pipe, Term, TermKind, Token, functions, number, quote};

impl<'a> Parser<'a> {
    /// A pipeline and the token that ends it.
    pub(super) fn pipeline(&mut self, context: &str, end: Kind) -> Parsed<Pipe> {
        let at = self.peek_word().at;
        let mut pipe = Pipe { at, assigns: false, variables: Vec::new(), commands: Vec::new() };
        self.declarations(&mut pipe, context)?;
        loop {
            let token = self.peek_word();
            match token.kind {
                kind if kind == end => {
                    self.take();
                    self.check(&pipe, context)?;
                    return Ok(pipe);
                }
                Kind::Bool
                | Kind::CharConstant
                | Kind::Dot
                | Kind::Field
                | Kind::Identifier
                | Kind::Number
                | Kind::Nil
                | Kind::RawString
                | Kind::String
                | Kind::Variable
                | Kind::OpenParen => {
                    let command = self.command()?;
                    pipe.commands.push(command);
                }
                _ => return self.unexpected(token, context),
            }
        }
    }

    /// `$x :=`, `$x =` or, for a range, `$i, $x :=`.
    fn declarations(&mut self, pipe: &mut Pipe, context: &str) -> Parsed<()> {
        while self.peek_word().kind == Kind::Variable {
            let before = self.next;
            let variable = self.take();
            let next = self.peek_word();
            match next.kind {
                Kind::Assign | Kind::Declare => {
                    self.take();
                    pipe.assigns = next.kind == Kind::Assign;
                    self.declare(pipe, variable);
                    return Ok(());
                }
                Kind::Char if next.text == "," => {
                    self.take();
                    self.declare(pipe, variable);
                    if context != "range" || pipe.variables.len() > 1 {
                        return self.fail(format!("too many declarations in {context}"));
                    }
                    if !matches!(self.peek_word().kind, Kind::Variable | Kind::Close | Kind::CloseParen) {
                        return self.fail("range can only initialize variables");
                    }
                }
                _ => {
                    self.next = before;
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn declare(&mut self, pipe: &mut Pipe, variable: &Token<'_>) {
        pipe.variables.push(variable.text.to_owned());
        self.variables.push(variable.text.to_owned());
    }

    fn check(&self, pipe: &Pipe, context: &str) -> Parsed<()> {
        if pipe.commands.is_empty() {
            return self.fail(format!("missing value for {context}"));
        }
        for (stage, command) in pipe.commands.iter().enumerate().skip(1) {
            let first = command.terms.first().map(|term| &term.kind);
            let constant = matches!(
                first,
                Some(TermKind::Bool(_) | TermKind::Dot | TermKind::Nil | TermKind::Number(_) | TermKind::Text(..))
            );
            if constant {
                return self.fail(format!("non executable command in pipeline stage {}", stage + 1));
            }
        }
        Ok(())
    }

    fn command(&mut self) -> Parsed<Command> {
        let mut command = Command { at: self.peek_word().at, terms: Vec::new() };
        loop {
            self.skip_space();
            if let Some(term) = self.operand()? {
                command.terms.push(term);
            }
            let token = self.peek();
            match token.kind {
                Kind::Space => {}
                Kind::Close | Kind::CloseParen => break,
                Kind::Pipe => {
                    self.take();
                    break;
                }
                _ => return self.unexpected(token, "operand"),
            }
        }
        if command.terms.is_empty() {
            return self.fail("empty command");
        }
        Ok(command)
    }

    /// A term and the fields that follow it without a space.
    fn operand(&mut self) -> Parsed<Option<Term>> {
        let Some(mut term) = self.term()? else { return Ok(None) };
        if self.peek().kind != Kind::Field {
            return Ok(Some(term));
        }
        let at = self.peek().at;
        let mut fields = Vec::new();
        while self.peek().kind == Kind::Field {
            fields.push(self.take().text.trim_start_matches('.').to_owned());
        }
        match &mut term.kind {
            TermKind::Field(names) | TermKind::Variable(_, names) => names.append(&mut fields),
            TermKind::Bool(_) | TermKind::Text(..) | TermKind::Number(_) | TermKind::Nil | TermKind::Dot => {
                return self.fail(format!("unexpected . after term {}", quote::quote(&term.to_string())));
            }
            TermKind::Identifier(_) | TermKind::Pipe(_) | TermKind::Chain(..) => {
                term = Term { at, kind: TermKind::Chain(Box::new(term), fields) };
            }
        }
        term.at = at;
        Ok(Some(term))
    }

    fn term(&mut self) -> Parsed<Option<Term>> {
        let token = self.peek_word();
        let kind = match token.kind {
            Kind::Identifier if functions::find(token.text).is_none() => {
                return self.fail_at(token.at, format!("function {} not defined", quote::quote(token.text)));
            }
            Kind::Identifier => TermKind::Identifier(token.text.to_owned()),
            Kind::Dot => TermKind::Dot,
            Kind::Nil => TermKind::Nil,
            Kind::Variable if !self.variables.iter().any(|known| known == token.text) => {
                return self.fail_at(token.at, format!("undefined variable {}", quote::quote(token.text)));
            }
            Kind::Variable => TermKind::Variable(token.text.to_owned(), Vec::new()),
            Kind::Field => TermKind::Field(vec![token.text.trim_start_matches('.').to_owned()]),
            Kind::Bool => TermKind::Bool(token.text == "true"),
            Kind::CharConstant | Kind::Number => match number::literal(token.text) {
                Ok(number) => TermKind::Number(number),
                Err(message) => return self.fail_at(token.at, message),
            },
            Kind::String | Kind::RawString => TermKind::Text(token.text.to_owned(), self.unquoted(token)?),
            Kind::OpenParen => {
                self.take();
                self.deeper()?;
                let pipe = self.pipeline("parenthesized pipeline", Kind::CloseParen)?;
                self.depth -= 1;
                return Ok(Some(Term { at: pipe.at, kind: TermKind::Pipe(Box::new(pipe)) }));
            }
            _ => return Ok(None),
        };
        self.take();
        Ok(Some(Term { at: token.at, kind }))
    }
}
