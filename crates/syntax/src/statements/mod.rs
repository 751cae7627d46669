//! Statements: the first words decide, each kind is read in a file of its own.

mod assert;
mod ddl;
mod dml;
mod postgres;
mod properties;
mod session;
mod show;

use types::Result;

use crate::{
    ast::{ObjectKind, QueryTarget, Statement, StatementKind},
    keywords::STATEMENTS,
    lexer::Tok,
    parser::Parser,
};

impl Parser<'_> {
    /// A statement, from here to its end.
    pub(crate) fn statement(&mut self) -> Result<Statement> {
        self.nested(|p| {
            let mark = p.mark();
            let kind = p.statement_kind()?;
            p.expect_end()?;
            Ok(Statement { kind, span: p.span_from(mark), text: p.text_from(mark).to_owned() })
        })
    }

    fn statement_kind(&mut self) -> Result<StatementKind> {
        let first = match self.tok(0) {
            Tok::Word(word) => word.clone(),
            Tok::Symbol("(") => return self.ending_query(false).map(StatementKind::Query),
            _ => String::new(),
        };
        if matches!(first.as_str(), "SELECT" | "WITH" | "VALUES") {
            return self.ending_query(false).map(StatementKind::Query);
        }
        let known = STATEMENTS.binary_search(&first.as_str()).is_ok();
        if !known {
            STATEMENTS.iter().for_each(|word| self.note(word));
            return Err(self.unexpected_statement());
        }
        self.advance();
        match first.as_str() {
            "ABORT" | "BEGIN" | "COMMIT" | "END" | "ROLLBACK" | "START" => self.transaction(&first),
            "ALTER" => self.alter(),
            "ASSERT" => self.assert(),
            "CLOSE" => self.close(),
            "COPY" => self.copy(),
            "CREATE" => self.create(),
            "DEALLOCATE" | "DISCARD" | "RESET" => self.discard(&first),
            "DECLARE" => self.declare(),
            "DEFINE" => self.define(),
            "DELETE" => self.delete(),
            "DESCRIBE" => self.describe(),
            "DROP" => self.drop_object(),
            "EXPLAIN" => self.explain(),
            "FETCH" => self.fetch(),
            "INSERT" => self.insert(),
            "LIST" => self.show(true),
            "PAUSE" => self.query_target().map(StatementKind::Pause),
            "PRINT" => self.print(),
            "RESUME" => self.query_target().map(StatementKind::Resume),
            "RUN" => self.run_script(),
            "SET" => self.set(),
            "SHOW" => self.show(false),
            "TERMINATE" => self.query_target().map(StatementKind::Terminate),
            "UNDEFINE" => Ok(StatementKind::Undefine { name: self.name("a variable's name")? }),
            "UNSET" => self.unset(),
            _ => Err(self.unexpected()),
        }
    }

    /// `ALL` or a query's id.
    fn query_target(&mut self) -> Result<QueryTarget> {
        if self.accept("ALL") {
            return Ok(QueryTarget::All);
        }
        self.name("a query's id").map(QueryTarget::Id)
    }

    /// `EXPLAIN [ANALYZE] statement` or `EXPLAIN [ANALYZE] query_id`.
    fn explain(&mut self) -> Result<StatementKind> {
        let analyze = self.accept("ANALYZE");
        let opens = match self.tok(0) {
            Tok::Word(word) => STATEMENTS.binary_search(&word.as_str()).is_ok() && *self.tok(1) != Tok::End,
            tok => matches!(tok, Tok::Symbol("(")),
        };
        if opens {
            let statement = Box::new(self.statement()?);
            return Ok(StatementKind::Explain { analyze, statement });
        }
        self.note("a statement");
        Ok(StatementKind::ExplainQuery { analyze, id: self.name("a query's id")? })
    }

    /// `STREAM` or `TABLE`, perhaps `VIEW`.
    fn object(&mut self, view: bool) -> Option<ObjectKind> {
        if self.accept("STREAM") {
            Some(ObjectKind::Stream)
        } else if self.accept("TABLE") {
            Some(ObjectKind::Table)
        } else if view && self.accept("VIEW") {
            Some(ObjectKind::View)
        } else {
            None
        }
    }

    fn if_exists(&mut self) -> bool {
        self.accept_two("IF EXISTS")
    }

    /// `IF NOT EXISTS`.
    fn if_not_exists(&mut self) -> bool {
        self.note("IF NOT EXISTS");
        let fits = self.looking_at(&["IF", "NOT", "EXISTS"]);
        if fits {
            (0..3).for_each(|_| self.advance());
        }
        fits
    }
}
