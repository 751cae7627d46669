//! What PostgreSQL's clients send besides queries: transactions, cursors, COPY, session clean-up.

use types::{Error, Result, Span};

use crate::{
    ast::{
        CopyOptions, Ident, Properties, Query, QueryBody, Relation, Select, SelectItem, StatementKind, TransactionKind,
    },
    ast::{Expr, ExprKind},
    lexer::Tok,
    parser::Parser,
};

impl Parser<'_> {
    /// What follows BEGIN, COMMIT and their synonyms.
    pub(super) fn transaction(&mut self, first: &str) -> Result<StatementKind> {
        let kind = match first {
            "BEGIN" | "START" => TransactionKind::Begin,
            "COMMIT" | "END" => TransactionKind::Commit,
            _ => TransactionKind::Rollback,
        };
        if first == "START" {
            self.expect("TRANSACTION")?;
        } else if !self.accept("TRANSACTION") {
            self.accept("WORK");
        }
        if kind == TransactionKind::Begin {
            // Isolation levels and access modes: every statement here is its own transaction.
            while matches!(self.tok(0), Tok::Word(_) | Tok::Symbol(",")) && !self.starts_statement() {
                self.advance();
            }
        } else if self.accept_two("AND NO") {
            self.expect("CHAIN")?;
        }
        Ok(StatementKind::Transaction(kind))
    }

    fn starts_statement(&self) -> bool {
        const MODES: &[&str] =
            &["ISOLATION", "LEVEL", "READ", "WRITE", "ONLY", "COMMITTED", "UNCOMMITTED", "REPEATABLE", "SERIALIZABLE"];
        match self.tok(0) {
            Tok::Word(word) => !MODES.contains(&word.as_str()) && !["NOT", "DEFERRABLE"].contains(&word.as_str()),
            _ => false,
        }
    }

    /// What follows DISCARD, DEALLOCATE, RESET.
    pub(super) fn discard(&mut self, first: &str) -> Result<StatementKind> {
        if first == "DEALLOCATE" {
            self.accept("PREPARE");
        }
        if first == "RESET" && self.accept_two("SESSION AUTHORIZATION") {
            return Ok(StatementKind::Discard);
        }
        if !self.accept("ALL") {
            self.variable_name()?;
        }
        Ok(StatementKind::Discard)
    }

    /// `DECLARE name [BINARY] [[NO] SCROLL] CURSOR [WITH|WITHOUT HOLD] FOR query`.
    pub(super) fn declare(&mut self) -> Result<StatementKind> {
        let name = self.name("the cursor's name")?;
        for word in ["BINARY", "ASENSITIVE", "INSENSITIVE"] {
            self.accept(word);
        }
        if !self.accept_two("NO SCROLL") {
            self.accept("SCROLL");
        }
        self.expect("CURSOR")?;
        if !self.accept_two("WITH HOLD") {
            self.accept_two("WITHOUT HOLD");
        }
        self.expect("FOR")?;
        Ok(StatementKind::DeclareCursor { name, query: self.ending_query(false)? })
    }

    /// `FETCH [FORWARD] [n|ALL|NEXT] [FROM|IN] name`; `None` is all there is.
    pub(super) fn fetch(&mut self) -> Result<StatementKind> {
        self.accept("FORWARD");
        let mut count = Some(1);
        if self.accept("ALL") {
            count = None;
        } else if matches!(self.tok(0), Tok::Number(_)) {
            count = Some(self.whole_number("a number of rows")?);
        } else {
            self.accept("NEXT");
        }
        if !self.accept("FROM") {
            self.accept("IN");
        }
        Ok(StatementKind::Fetch { name: self.name("the cursor's name")?, count })
    }

    /// `CLOSE name|ALL`.
    pub(super) fn close(&mut self) -> Result<StatementKind> {
        let name = if self.accept("ALL") { None } else { Some(self.name("the cursor's name")?) };
        Ok(StatementKind::Close { name })
    }

    /// `COPY source [(columns)] FROM STDIN …`, `COPY source|(query) TO STDOUT …`.
    pub(super) fn copy(&mut self) -> Result<StatementKind> {
        let mark = self.mark();
        if self.accept_symbol("(") {
            let query = self.ending_query(true)?;
            self.expect_symbol(")")?;
            self.expect("TO")?;
            self.expect("STDOUT")?;
            return Ok(StatementKind::CopyTo { query, options: self.copy_options()? });
        }
        self.note("(");
        let target = self.name("the name of a stream or table")?;
        let columns = self.optional_columns()?;
        let (span, text) = (self.span_from(mark), self.text_from(mark).to_owned());
        if self.accept("TO") {
            self.expect("STDOUT")?;
            let query = select_all(target, columns, span, text);
            return Ok(StatementKind::CopyTo { query, options: self.copy_options()? });
        }
        self.expect("FROM")?;
        self.expect("STDIN")?;
        Ok(StatementKind::CopyFrom { target, columns, options: self.copy_options()? })
    }

    /// `[WITH] (FORMAT csv, HEADER, …)` or the older `[WITH] CSV HEADER DELIMITER ','`.
    fn copy_options(&mut self) -> Result<CopyOptions> {
        let mut options = CopyOptions::default();
        self.accept("WITH");
        if self.accept_symbol("(") {
            self.list(|p| p.copy_option(&mut options))?;
            self.expect_symbol(")")?;
        } else {
            while self.peek().tok != Tok::End {
                self.copy_option(&mut options)?;
            }
        }
        Ok(options)
    }

    fn copy_option(&mut self, options: &mut CopyOptions) -> Result<()> {
        if self.accept("FORMAT") {
            if self.accept("CSV") {
                options.csv = true;
            } else if !self.accept("TEXT") {
                return Err(self.unexpected());
            }
        } else if self.accept("CSV") {
            options.csv = true;
        } else if self.accept("HEADER") {
            let off = self.accept("FALSE") || self.accept("OFF");
            let _ = !off && (self.accept("TRUE") || self.accept("ON"));
            options.header = !off;
        } else if self.accept("DELIMITER") {
            self.accept("AS");
            options.delimiter = Some(self.one_character()?);
        } else if self.accept("NULL") {
            self.accept("AS");
            options.null = Some(self.string("a string")?);
        } else if self.accept("QUOTE") {
            self.accept("AS");
            options.quote = Some(self.one_character()?);
        } else {
            return Err(self.unexpected());
        }
        Ok(())
    }

    fn one_character(&mut self) -> Result<char> {
        let span = self.peek().span;
        let text = self.string("a character in quotes")?;
        let mut chars = text.chars();
        match (chars.next(), chars.next()) {
            (Some(only), None) => Ok(only),
            _ => Err(Error::syntax(format!("'{text}' must be one character")).at(span)),
        }
    }

    /// `SHOW name`: a session variable of PostgreSQL.
    pub(super) fn show_variable(&mut self) -> Result<StatementKind> {
        let name = if self.accept("ALL") {
            "ALL".to_owned()
        } else if self.accept_two("TIME ZONE") {
            "timezone".to_owned()
        } else if self.looking_at(&["TRANSACTION", "ISOLATION", "LEVEL"]) {
            (0..3).for_each(|_| self.advance());
            "transaction_isolation".to_owned()
        } else {
            self.variable_name()?
        };
        Ok(StatementKind::ShowVariable { name })
    }
}

/// `SELECT * FROM source`, or of the columns.
fn select_all(name: Ident, columns: Vec<Ident>, span: Span, text: String) -> Query {
    let item = |name: Ident| {
        let span = name.span;
        SelectItem::Expr { expr: Expr { kind: ExprKind::Column { qualifier: None, name }, span }, alias: None }
    };
    let projection = match columns.is_empty() {
        true => vec![SelectItem::All { qualifier: None, span }],
        false => columns.into_iter().map(item).collect(),
    };
    let select = Select {
        distinct: false,
        projection,
        from: Some(Relation::Named { name, alias: None, options: Properties::default() }),
        window: None,
        filter: None,
        group_by: Vec::new(),
        null_groups: false,
        partition_by: Vec::new(),
        having: None,
        span,
    };
    Query { ctes: Vec::new(), body: QueryBody::Select(select), emit: None, limit: None, span, text }
}
