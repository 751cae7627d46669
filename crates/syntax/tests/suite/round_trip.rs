//! What a tree prints parses to a tree that prints the same: over generated trees.

use proptest::prelude::*;
use syntax::{
    ast::{
        BinaryOp, ColumnConstraint, ColumnDef, CreateAsSelect, CreateSource, Emit, Expr, ExprKind, Ident, Join,
        JoinKind, Literal, ObjectKind, Properties, Property, Query, QueryBody, Relation, Select, SelectItem,
        StatementKind, TypeKind, TypeName, UnaryOp, Window, WindowKind, Within,
    },
    parse, parse_expression, parse_type,
};
use types::Span;

fn name() -> impl Strategy<Value = Ident> {
    let plain =
        prop::sample::select(vec!["A", "B1", "_X", "KEY", "DATE", "SELECT", "EMIT", "ARRAY", "SECONDS", "STREAMS"]);
    let quoted = prop::sample::select(vec!["a", "with.dot", "tick`s", "quote\"s", "it's", "1R", "é", " "]);
    prop_oneof![4 => plain, 1 => quoted].prop_map(ident)
}

fn ident(value: &str) -> Ident {
    Ident { value: value.to_owned(), quoted: true, span: Span::default() }
}

fn literal() -> impl Strategy<Value = Literal> {
    prop_oneof![
        Just(Literal::Null),
        any::<bool>().prop_map(Literal::Boolean),
        any::<i64>().prop_map(|n| Literal::Integer(n.to_string())),
        (any::<i32>(), 0_u32..1_000).prop_map(|(n, f)| Literal::Decimal(format!("{n}.{f}"))),
        (-99_i32..99, -9_i32..9).prop_map(|(n, e)| Literal::Double(format!("{n}.5E{e}"))),
        "[a-z'`\"$ \\-/*;]{0,6}".prop_map(Literal::String),
    ]
}

fn ty() -> impl Strategy<Value = TypeName> {
    let plain = ["INT", "VARCHAR", "TIMESTAMP", "ADDRESS"].map(|n| Ident { quoted: false, ..ident(n) });
    let leaf = prop_oneof![
        prop::sample::select(plain.to_vec()).prop_map(TypeKind::Named),
        Just(TypeKind::Named(ident("My type"))),
        prop::option::of((1_u32..38, 0_u32..9)).prop_map(TypeKind::Decimal),
    ];
    let at = |kind| TypeName { kind, span: Span::default() };
    leaf.prop_map(at).prop_recursive(3, 12, 3, move |inner| {
        prop_oneof![
            inner.clone().prop_map(|t| TypeKind::Array(Box::new(t))),
            (inner.clone(), inner.clone()).prop_map(|(k, v)| TypeKind::Map(Box::new(k), Box::new(v))),
            prop::collection::vec((name(), inner), 0..3).prop_map(TypeKind::Struct),
        ]
        .prop_map(at)
    })
}

const OPERATORS: &[BinaryOp] = &[
    BinaryOp::Add,
    BinaryOp::Subtract,
    BinaryOp::Multiply,
    BinaryOp::Divide,
    BinaryOp::Modulo,
    BinaryOp::Concat,
    BinaryOp::Eq,
    BinaryOp::NotEq,
    BinaryOp::Lt,
    BinaryOp::LtEq,
    BinaryOp::Gt,
    BinaryOp::GtEq,
    BinaryOp::IsDistinct,
    BinaryOp::IsNotDistinct,
    BinaryOp::And,
    BinaryOp::Or,
];

fn at(kind: ExprKind) -> Expr {
    Expr { kind, span: Span::default() }
}

fn expr() -> impl Strategy<Value = Expr> {
    let leaf = prop_oneof![
        literal().prop_map(ExprKind::Literal),
        (1_usize..9).prop_map(ExprKind::Parameter),
        (prop::option::of(name()), name()).prop_map(|(qualifier, name)| ExprKind::Column { qualifier, name }),
    ];
    leaf.prop_map(at).prop_recursive(5, 40, 3, |inner| {
        let boxed = || inner.clone().prop_map(Box::new);
        let some = || prop::collection::vec(inner.clone(), 1..3);
        let maybe = || prop::option::of(inner.clone().prop_map(Box::new));
        let operators = prop_oneof![
            (prop::sample::select(OPERATORS), boxed(), boxed()).prop_map(|(op, left, right)| ExprKind::Binary {
                op,
                left,
                right
            }),
            (prop::sample::select(vec![UnaryOp::Minus, UnaryOp::Plus, UnaryOp::Not]), boxed())
                .prop_map(|(op, expr)| ExprKind::Unary { op, expr }),
            (boxed(), any::<bool>()).prop_map(|(expr, negated)| ExprKind::IsNull { expr, negated }),
            (boxed(), boxed(), boxed(), any::<bool>()).prop_map(|(expr, low, high, negated)| ExprKind::Between {
                expr,
                low,
                high,
                negated
            }),
            (boxed(), some(), any::<bool>()).prop_map(|(expr, list, negated)| ExprKind::InList { expr, list, negated }),
            (boxed(), boxed(), prop::option::of(prop::sample::select(vec!['!', '\''])), any::<bool>())
                .prop_map(|(expr, pattern, escape, negated)| ExprKind::Like { expr, pattern, escape, negated }),
            (boxed(), boxed()).prop_map(|(base, index)| ExprKind::Subscript { base, index }),
            (boxed(), name()).prop_map(|(base, field)| ExprKind::Deref { base, field }),
        ];
        let constructors = prop_oneof![
            (maybe(), prop::collection::vec((inner.clone(), inner.clone()), 1..3), maybe())
                .prop_map(|(operand, branches, otherwise)| ExprKind::Case { operand, branches, otherwise }),
            (boxed(), ty()).prop_map(|(expr, ty)| ExprKind::Cast { expr, ty }),
            (name(), any::<bool>(), some(), maybe()).prop_map(|(name, distinct, args, filter)| ExprKind::Call {
                name,
                distinct,
                star: false,
                args,
                filter
            }),
            name().prop_map(|name| ExprKind::Call { name, distinct: false, star: true, args: vec![], filter: None }),
            (prop::collection::vec(name(), 1..3), boxed()).prop_map(|(params, body)| ExprKind::Lambda { params, body }),
            prop::collection::vec((name(), inner.clone()), 0..3).prop_map(ExprKind::Struct),
            prop::collection::vec((inner.clone(), inner.clone()), 0..3).prop_map(ExprKind::Map),
            prop::collection::vec(inner.clone(), 0..3).prop_map(ExprKind::Array),
            inner.clone().prop_map(|e| ExprKind::Call {
                name: ident("TIMESTAMPADD"),
                distinct: false,
                star: false,
                args: vec![at(ExprKind::TimeUnit("SECONDS".to_owned())), e],
                filter: None,
            }),
        ];
        prop_oneof![operators, constructors].prop_map(at)
    })
}

fn properties() -> impl Strategy<Value = Properties> {
    let key = prop::sample::select(vec!["KAFKA_TOPIC", "A.B", "KEY", "IT'S"]);
    prop::collection::vec((key, literal()), 0..3).prop_map(|pairs| Properties {
        entries: pairs
            .into_iter()
            .map(|(k, value)| (k.to_owned(), Property { name_span: Span::default(), value, span: Span::default() }))
            .collect(),
        span: Span::default(),
    })
}

fn duration() -> impl Strategy<Value = i64> {
    prop_oneof![1_i64..100_000, (1_i64..100).prop_map(|n| n * 3_600_000)]
}

fn relation() -> impl Strategy<Value = Relation> {
    let leaf = (name(), prop::option::of(name()), properties())
        .prop_map(|(name, alias, options)| Relation::Named { name, alias, options })
        .boxed();
    let within = prop::option::of((duration(), duration(), prop::option::of(duration()))).prop_map(|w| {
        w.map(|(before_ms, after_ms, grace_ms)| Within { before_ms, after_ms, grace_ms, span: Span::default() })
    });
    let kinds = vec![JoinKind::Inner, JoinKind::Left, JoinKind::Right, JoinKind::Full];
    let join = (leaf.clone(), leaf.clone(), prop::sample::select(kinds), within, expr()).prop_map(
        |(left, right, kind, within, on)| {
            Relation::Join(Box::new(Join { left, right, kind, within, on, span: Span::default() }))
        },
    );
    prop_oneof![leaf, join]
}

fn window() -> impl Strategy<Value = Window> {
    let kind = prop_oneof![
        duration().prop_map(|size_ms| WindowKind::Tumbling { size_ms }),
        (duration(), duration()).prop_map(|(size_ms, advance_ms)| WindowKind::Hopping { size_ms, advance_ms }),
        duration().prop_map(|gap_ms| WindowKind::Session { gap_ms }),
    ];
    (kind, prop::option::of(duration()), prop::option::of(duration()))
        .prop_map(|(kind, retention_ms, grace_ms)| Window { kind, retention_ms, grace_ms, span: Span::default() })
}

fn select() -> impl Strategy<Value = Select> {
    let item = prop_oneof![
        prop::option::of(name()).prop_map(|qualifier| SelectItem::All { qualifier, span: Span::default() }),
        expr().prop_map(|base| SelectItem::StructAll { base, span: Span::default() }),
        (expr(), prop::option::of(name())).prop_map(|(expr, alias)| SelectItem::Expr { expr, alias }),
    ];
    let keys = || prop::collection::vec(expr(), 0..3);
    (
        any::<bool>(),
        prop::collection::vec(item, 1..3),
        relation(),
        prop::option::of(window()),
        prop::option::of(expr()),
        (keys(), any::<bool>()),
        keys(),
        prop::option::of(expr()),
    )
        .prop_map(|(distinct, projection, from, window, filter, (group_by, null_groups), partition_by, having)| {
            Select {
                distinct,
                projection,
                from: Some(from),
                window,
                filter,
                group_by,
                null_groups,
                partition_by,
                having,
                span: Span::default(),
            }
        })
}

fn query() -> impl Strategy<Value = Query> {
    let emit = prop::sample::select(vec![
        None,
        Some(Emit::Changes),
        Some(Emit::Final { idle_ms: None }),
        Some(Emit::Final { idle_ms: Some(90_000) }),
    ]);
    (prop::collection::vec(select(), 1..3), emit, prop::option::of(0_u64..99)).prop_map(|(mut selects, emit, limit)| {
        let body = match selects.len() {
            1 => QueryBody::Select(selects.remove(0)),
            _ => QueryBody::UnionAll(selects),
        };
        Query { ctes: vec![], body, emit, limit, span: Span::default(), text: String::new() }
    })
}

fn statement() -> impl Strategy<Value = StatementKind> {
    let objects = || prop::sample::select(vec![ObjectKind::Stream, ObjectKind::Table]);
    let column = (name(), ty()).prop_map(|(name, ty)| ColumnDef { name, ty, constraint: None, span: Span::default() });
    let header = name().prop_map(|name| ColumnDef {
        name,
        ty: TypeName { kind: TypeKind::Named(Ident { quoted: false, ..ident("BYTES") }), span: Span::default() },
        constraint: Some(ColumnConstraint::Header("it's".to_owned())),
        span: Span::default(),
    });
    let elements = prop::collection::vec(prop_oneof![column, header], 0..3);
    let (flags, create_flags) = ((any::<bool>(), any::<bool>()), (any::<bool>(), any::<bool>(), any::<bool>()));
    prop_oneof![
        (objects(), create_flags, name(), elements, properties()).prop_map(
            |(object, (or_replace, if_not_exists, is_source), name, elements, properties)| {
                let or_replace = or_replace && !is_source;
                StatementKind::CreateSource(CreateSource {
                    object,
                    or_replace,
                    if_not_exists,
                    is_source,
                    name,
                    elements,
                    properties,
                })
            }
        ),
        (objects(), flags, name(), properties(), query()).prop_map(
            |(object, (or_replace, if_not_exists), name, properties, query)| {
                StatementKind::CreateAsSelect(CreateAsSelect {
                    object,
                    or_replace,
                    if_not_exists,
                    name,
                    properties,
                    query,
                })
            }
        ),
        (name(), prop::collection::vec(name(), 0..3), prop::collection::vec(expr(), 1..3), any::<bool>()).prop_map(
            |(target, columns, row, tombstones)| {
                StatementKind::InsertValues { target, columns, rows: vec![row], tombstones }
            }
        ),
        query().prop_map(StatementKind::Query),
        (name(), prop::option::of(expr())).prop_map(|(target, condition)| StatementKind::Delete { target, condition }),
        (name(), any::<bool>()).prop_map(|(name, extended)| StatementKind::Describe { name, extended }),
        (name(), any::<bool>(), prop::option::of(1_u64..9), prop::option::of(0_u64..9)).prop_map(
            |(topic, from_beginning, interval, limit)| StatementKind::Print { topic, from_beginning, interval, limit }
        ),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn expressions(expr in expr()) {
        let printed = expr.to_string();
        let again = parse_expression(&printed).map_err(|e| TestCaseError::fail(e.render(&printed)))?;
        prop_assert_eq!(again.to_string(), printed);
    }

    #[test]
    fn types_(ty in ty()) {
        let printed = ty.to_string();
        let again = parse_type(&printed).map_err(|e| TestCaseError::fail(e.render(&printed)))?;
        prop_assert_eq!(again.to_string(), printed);
    }

    #[test]
    fn statements(statement in statement()) {
        let printed = statement.to_string();
        let again = parse(&printed, None).map_err(|e| TestCaseError::fail(e.render(&printed)))?;
        prop_assert_eq!(again.len(), 1);
        prop_assert_eq!(again[0].to_string(), printed);
    }
}
