//! The server's own objects: schemas, types, the one database and user, settings; and the tables that are always
//! empty here.

use super::{
    functions, oid,
    tables::{Row, Table, V, View},
};
use crate::{values::TYPES, variables::Variables};

/// Tables with rows.
pub(super) const TABLES: &[Table] = &[
    Table {
        schema: "pg_catalog",
        name: "pg_am",
        columns: "oid:oid amname:name amhandler:regproc=0 amtype:char",
        rows: Some(|_| {
            let method = |oid: i64, name: &str, kind: &str| -> Row {
                vec![("oid", oid.into()), ("amname", name.into()), ("amtype", kind.into())]
            };
            vec![method(oid::HEAP, "heap", "t"), method(oid::HASH, "hash", "i")]
        }),
    },
    Table { schema: "pg_catalog", name: "pg_authid", columns: ROLE_COLUMNS, rows: Some(roles) },
    Table {
        schema: "pg_catalog",
        name: "pg_database",
        columns: "oid:oid datname:name datdba:oid=10 encoding:int4=6 datlocprovider:char=c datistemplate:bool=f \
                  datallowconn:bool=t datconnlimit:int4=-1 datlastsysoid:oid=0 datfrozenxid:oid=0 datminmxid:oid=0 \
                  dattablespace:oid=1663 datcollate:text=C datctype:text=C daticulocale:text daticurules:text \
                  datcollversion:text datacl:_text",
        rows: Some(|view| vec![vec![("oid", oid::DATABASE.into()), ("datname", view.database().into())]]),
    },
    Table {
        schema: "pg_catalog",
        name: "pg_language",
        columns: "oid:oid lanname:name lanowner:oid=10 lanispl:bool=f lanpltrusted:bool=t lanplcallfoid:oid=0 \
                  laninline:oid=0 lanvalidator:oid=0 lanacl:_text",
        rows: Some(|_| vec![vec![("oid", V::Int(INTERNAL_LANGUAGE)), ("lanname", "internal".into())]]),
    },
    Table {
        schema: "pg_catalog",
        name: "pg_namespace",
        columns: "oid:oid nspname:name nspowner:oid=10 nspacl:_text",
        rows: Some(|_| {
            let schema = |(oid, name): (i64, &str)| -> Row { vec![("oid", oid.into()), ("nspname", name.into())] };
            SCHEMAS.into_iter().map(schema).collect()
        }),
    },
    Table {
        schema: "pg_catalog",
        name: "pg_proc",
        columns: "oid:oid proname:name pronamespace:oid proowner:oid=10 prolang:oid=12 procost:float4=1 prorows:float4=0 \
                  provariadic:oid=0 prosupport:regproc=0 prokind:char=f prosecdef:bool=f proleakproof:bool=f \
                  proisstrict:bool=f proretset:bool=f provolatile:char=s proparallel:char=s pronargs:int2=0 \
                  pronargdefaults:int2=0 prorettype:oid proargtypes:_oid proallargtypes:_oid proargmodes:_char \
                  proargnames:_text proargdefaults:text protrftypes:_oid prosrc:text probin:text prosqlbody:text \
                  proconfig:_text proacl:_text",
        rows: Some(|_| {
            let function = |(name, ty): (&'static str, i64)| -> Row {
                vec![
                    ("oid", oid::of_name("function", name).into()),
                    ("proname", name.into()),
                    ("pronamespace", oid::PG_CATALOG.into()),
                    ("prorettype", ty.into()),
                    ("prosrc", name.into()),
                ]
            };
            functions::names_and_types().map(function).chain(dialect_functions()).collect()
        }),
    },
    Table { schema: "pg_catalog", name: "pg_roles", columns: ROLE_COLUMNS, rows: Some(roles) },
    Table {
        schema: "pg_catalog",
        name: "pg_settings",
        columns: "name:text setting:text unit:text category:text=Settings short_desc:text extra_desc:text \
                  context:text=user vartype:text=string source:text=session min_val:text max_val:text enumvals:_text \
                  boot_val:text reset_val:text sourcefile:text sourceline:int4 pending_restart:bool=f",
        rows: Some(|view| {
            let variables = match &view.identity {
                Some(identity) => identity.variables.lock().clone(),
                None => Variables::new(view.user()),
            };
            let row = |(name, value, description): (&str, &str, &str)| -> Row {
                vec![
                    ("name", name.into()),
                    ("setting", value.into()),
                    ("short_desc", description.into()),
                    ("reset_val", value.into()),
                ]
            };
            variables.all().map(row).collect()
        }),
    },
    Table {
        schema: "pg_catalog",
        name: "pg_stat_activity",
        columns: "datid:oid datname:name pid:int4 leader_pid:int4 usesysid:oid=10 usename:name application_name:text \
                  client_addr:text client_hostname:text client_port:int4 backend_start:timestamptz \
                  xact_start:timestamptz query_start:timestamptz state_change:timestamptz wait_event_type:text \
                  wait_event:text state:text=active backend_xid:oid backend_xmin:oid query_id:int8 query:text \
                  backend_type:text",
        rows: Some(|view| {
            let me = |identity: &crate::connection::Identity| -> Row {
                let name = identity.variables.lock().get("application_name").unwrap_or_default().to_owned();
                vec![
                    ("datid", oid::DATABASE.into()),
                    ("datname", view.database().into()),
                    ("pid", i64::from(identity.process).into()),
                    ("usename", view.user().into()),
                    ("application_name", name.into()),
                    ("backend_type", "client backend".into()),
                ]
            };
            view.identity.iter().map(me).collect()
        }),
    },
    Table {
        schema: "pg_catalog",
        name: "pg_tablespace",
        columns: "oid:oid spcname:name spcowner:oid=10 spcacl:_text spcoptions:_text",
        rows: Some(|_| vec![vec![("oid", V::Int(1663)), ("spcname", "pg_default".into())]]),
    },
    Table {
        schema: "pg_catalog",
        name: "pg_type",
        columns: "oid:oid typname:name typnamespace:oid=11 typowner:oid=10 typlen:int2 typbyval:bool=f typtype:char=b \
                  typcategory:char typispreferred:bool=f typisdefined:bool=t typdelim:char=, typrelid:oid=0 \
                  typsubscript:regproc=0 typelem:oid=0 typarray:oid=0 typinput:regproc=0 typoutput:regproc=0 \
                  typreceive:regproc=0 typsend:regproc=0 typmodin:regproc=0 typmodout:regproc=0 typanalyze:regproc=0 \
                  typalign:char=i typstorage:char=p typnotnull:bool=f typbasetype:oid=0 typtypmod:int4=-1 \
                  typndims:int4=0 typcollation:oid=0 typdefaultbin:text typdefault:text typacl:_text",
        rows: Some(|_| {
            let row = |ty: &crate::values::PgType| -> Row {
                vec![
                    ("oid", i64::from(ty.oid).into()),
                    ("typname", ty.name.into()),
                    ("typlen", i64::from(ty.length).into()),
                    ("typtype", if ty.category == 'P' { "p" } else { "b" }.into()),
                    ("typcategory", ty.category.to_string().into()),
                    ("typelem", i64::from(ty.element).into()),
                    ("typarray", i64::from(ty.array).into()),
                ]
            };
            TYPES.iter().map(row).collect()
        }),
    },
    Table {
        schema: "pg_catalog",
        name: "pg_user",
        columns: "usename:name usesysid:oid=10 usecreatedb:bool=t usesuper:bool=t userepl:bool=f usebypassrls:bool=t \
                  passwd:text valuntil:timestamptz useconfig:_text",
        rows: Some(|view| vec![vec![("usename", view.user().into())]]),
    },
];

/// The language of functions that are built in.
const INTERNAL_LANGUAGE: i64 = 12;

/// The dialect's own functions, as `\df` lists them. Names are in lower case, as psql looks for them; they have many
/// signatures, which DESCRIBE FUNCTION shows.
fn dialect_functions() -> impl Iterator<Item = Row> {
    ::functions::all().map(|(doc, kind)| {
        let kind = if kind == ::functions::FunctionKind::Aggregate { "a" } else { "f" };
        vec![
            ("oid", oid::of_name("dialect function", doc.name).into()),
            ("proname", doc.name.to_lowercase().as_str().into()),
            ("pronamespace", oid::PUBLIC.into()),
            ("prokind", kind.into()),
            ("prosrc", doc.name.into()),
        ]
    })
}

/// Schemas by object id.
pub(super) const SCHEMAS: [(i64, &str); 3] =
    [(oid::PG_CATALOG, "pg_catalog"), (oid::PUBLIC, super::PUBLIC), (oid::INFORMATION_SCHEMA, "information_schema")];

const ROLE_COLUMNS: &str = "oid:oid rolname:name rolsuper:bool=t rolinherit:bool=t rolcreaterole:bool=t \
     rolcreatedb:bool=t rolcanlogin:bool=t rolreplication:bool=f rolconnlimit:int4=-1 rolpassword:text \
     rolvaliduntil:timestamptz rolbypassrls:bool=t rolconfig:_text";

fn roles(view: &View) -> Vec<Row> {
    vec![vec![("oid", oid::USER.into()), ("rolname", view.user().into())]]
}

/// A table of pg_catalog that never has rows.
const fn empty(name: &'static str, columns: &'static str) -> Table {
    Table { schema: "pg_catalog", name, columns, rows: None }
}

/// Tables without rows: what they would describe does not exist here.
pub(super) const EMPTY: &[Table] = &[
    empty("pg_aggregate", "aggfnoid:regproc aggkind:char aggnumdirectargs:int2"),
    empty("pg_attrdef", "oid:oid adrelid:oid adnum:int2 adbin:text"),
    empty(
        "pg_auth_members",
        "oid:oid roleid:oid member:oid grantor:oid admin_option:bool inherit_option:bool set_option:bool",
    ),
    empty("pg_available_extensions", "name:name default_version:text installed_version:text comment:text"),
    empty("pg_cast", "oid:oid castsource:oid casttarget:oid castfunc:oid castcontext:char castmethod:char"),
    empty(
        "pg_collation",
        "oid:oid collname:name collnamespace:oid collowner:oid collprovider:char collisdeterministic:bool collencoding:int4 collcollate:text collctype:text colliculocale:text collicurules:text collversion:text",
    ),
    empty(
        "pg_conversion",
        "oid:oid conname:name connamespace:oid conowner:oid conforencoding:int4 contoencoding:int4 conproc:regproc condefault:bool",
    ),
    empty("pg_db_role_setting", "setdatabase:oid setrole:oid setconfig:_text"),
    empty("pg_default_acl", "oid:oid defaclrole:oid defaclnamespace:oid defaclobjtype:char defaclacl:_text"),
    empty("pg_depend", "classid:oid objid:oid objsubid:int4 refclassid:oid refobjid:oid refobjsubid:int4 deptype:char"),
    empty("pg_enum", "oid:oid enumtypid:oid enumsortorder:float4 enumlabel:name"),
    empty(
        "pg_event_trigger",
        "oid:oid evtname:name evtevent:name evtowner:oid evtfoid:oid evtenabled:char evttags:_text",
    ),
    empty(
        "pg_extension",
        "oid:oid extname:name extowner:oid extnamespace:oid extrelocatable:bool extversion:text extconfig:_oid extcondition:_text",
    ),
    empty(
        "pg_foreign_data_wrapper",
        "oid:oid fdwname:name fdwowner:oid fdwhandler:oid fdwvalidator:oid fdwacl:_text fdwoptions:_text",
    ),
    empty(
        "pg_foreign_server",
        "oid:oid srvname:name srvowner:oid srvfdw:oid srvtype:text srvversion:text srvacl:_text srvoptions:_text",
    ),
    empty("pg_foreign_table", "ftrelid:oid ftserver:oid ftoptions:_text"),
    empty("pg_indexes", "schemaname:name tablename:name indexname:name tablespace:name indexdef:text"),
    empty("pg_inherits", "inhrelid:oid inhparent:oid inhseqno:int4 inhdetachpending:bool"),
    empty("pg_init_privs", "objoid:oid classoid:oid objsubid:int4 privtype:char initprivs:_text"),
    empty("pg_largeobject_metadata", "oid:oid lomowner:oid lomacl:_text"),
    empty("pg_locks", "locktype:text database:oid relation:oid pid:int4 mode:text granted:bool"),
    empty(
        "pg_matviews",
        "schemaname:name matviewname:name matviewowner:name tablespace:name hasindexes:bool ispopulated:bool definition:text",
    ),
    empty(
        "pg_opclass",
        "oid:oid opcmethod:oid opcname:name opcnamespace:oid opcowner:oid opcfamily:oid opcintype:oid opcdefault:bool opckeytype:oid",
    ),
    empty(
        "pg_operator",
        "oid:oid oprname:name oprnamespace:oid oprowner:oid oprkind:char oprcanmerge:bool oprcanhash:bool oprleft:oid oprright:oid oprresult:oid oprcom:oid oprnegate:oid oprcode:regproc oprrest:regproc oprjoin:regproc",
    ),
    empty("pg_opfamily", "oid:oid opfmethod:oid opfname:name opfnamespace:oid opfowner:oid"),
    empty("pg_parameter_acl", "oid:oid parname:text paracl:_text"),
    empty(
        "pg_partitioned_table",
        "partrelid:oid partstrat:char partnatts:int2 partdefid:oid partattrs:_int2 partclass:_oid partcollation:_oid partexprs:text",
    ),
    empty(
        "pg_policies",
        "schemaname:name tablename:name policyname:name permissive:text roles:_name cmd:text qual:text with_check:text",
    ),
    empty(
        "pg_policy",
        "oid:oid polname:name polrelid:oid polcmd:char polpermissive:bool polroles:_oid polqual:text polwithcheck:text",
    ),
    empty("pg_prepared_statements", "name:text statement:text prepare_time:timestamptz from_sql:bool"),
    empty("pg_prepared_xacts", "transaction:oid gid:text prepared:timestamptz owner:name database:name"),
    empty(
        "pg_publication",
        "oid:oid pubname:name pubowner:oid puballtables:bool pubinsert:bool pubupdate:bool pubdelete:bool pubtruncate:bool pubviaroot:bool",
    ),
    empty("pg_publication_namespace", "oid:oid pnpubid:oid pnnspid:oid"),
    empty("pg_publication_rel", "oid:oid prpubid:oid prrelid:oid prqual:text prattrs:_int2"),
    empty("pg_publication_tables", "pubname:name schemaname:name tablename:name attnames:_name rowfilter:text"),
    empty(
        "pg_range",
        "rngtypid:oid rngsubtype:oid rngmultitypid:oid rngcollation:oid rngsubopc:oid rngcanonical:regproc rngsubdiff:regproc",
    ),
    empty(
        "pg_replication_slots",
        "slot_name:name plugin:name slot_type:text datoid:oid database:name temporary:bool active:bool",
    ),
    empty(
        "pg_rewrite",
        "oid:oid rulename:name ev_class:oid ev_type:char ev_enabled:char is_instead:bool ev_qual:text ev_action:text",
    ),
    empty("pg_rules", "schemaname:name tablename:name rulename:name definition:text"),
    empty("pg_seclabel", "objoid:oid classoid:oid objsubid:int4 provider:text label:text"),
    empty(
        "pg_seclabels",
        "objoid:oid classoid:oid objsubid:int4 objtype:text objnamespace:oid objname:text provider:text label:text",
    ),
    empty(
        "pg_sequence",
        "seqrelid:oid seqtypid:oid seqstart:int8 seqincrement:int8 seqmax:int8 seqmin:int8 seqcache:int8 seqcycle:bool",
    ),
    empty(
        "pg_sequences",
        "schemaname:name sequencename:name sequenceowner:name data_type:regtype start_value:int8 min_value:int8 max_value:int8 increment_by:int8 cycle:bool cache_size:int8 last_value:int8",
    ),
    empty("pg_shdepend", "dbid:oid classid:oid objid:oid objsubid:int4 refclassid:oid refobjid:oid deptype:char"),
    empty("pg_shdescription", "objoid:oid classoid:oid description:text"),
    empty("pg_stat_all_tables", "relid:oid schemaname:name relname:name seq_scan:int8 n_live_tup:int8 n_dead_tup:int8"),
    empty("pg_stat_database", "datid:oid datname:name numbackends:int4 xact_commit:int8 xact_rollback:int8"),
    empty("pg_stat_gssapi", "pid:int4 gss_authenticated:bool principal:text encrypted:bool"),
    empty("pg_stat_replication", "pid:int4 usesysid:oid usename:name application_name:text state:text"),
    empty("pg_stat_ssl", "pid:int4 ssl:bool version:text cipher:text bits:int4"),
    empty(
        "pg_stat_user_tables",
        "relid:oid schemaname:name relname:name seq_scan:int8 n_live_tup:int8 n_dead_tup:int8",
    ),
    empty(
        "pg_statistic",
        "starelid:oid staattnum:int2 stainherit:bool stanullfrac:float4 stawidth:int4 stadistinct:float4",
    ),
    empty(
        "pg_statistic_ext",
        "oid:oid stxrelid:oid stxname:name stxnamespace:oid stxowner:oid stxstattarget:int4 stxkeys:_int2 stxkind:_char stxexprs:text",
    ),
    empty(
        "pg_stats",
        "schemaname:name tablename:name attname:name inherited:bool null_frac:float4 avg_width:int4 n_distinct:float4",
    ),
    empty(
        "pg_subscription",
        "oid:oid subdbid:oid subname:name subowner:oid subenabled:bool subconninfo:text subslotname:name subpublications:_text",
    ),
    empty("pg_subscription_rel", "srsubid:oid srrelid:oid srsubstate:char srsublsn:text"),
    empty("pg_timezone_names", "name:text abbrev:text utc_offset:interval is_dst:bool"),
    empty("pg_transform", "oid:oid trftype:oid trflang:oid trffromsql:regproc trftosql:regproc"),
    empty(
        "pg_trigger",
        "oid:oid tgrelid:oid tgparentid:oid tgname:name tgfoid:oid tgtype:int2 tgenabled:char tgisinternal:bool tgconstrrelid:oid tgconstrindid:oid tgconstraint:oid tgdeferrable:bool tginitdeferred:bool tgnargs:int2 tgattr:_int2 tgargs:text tgqual:text tgoldtable:name tgnewtable:name",
    ),
    empty("pg_ts_config", "oid:oid cfgname:name cfgnamespace:oid cfgowner:oid cfgparser:oid"),
    empty("pg_ts_dict", "oid:oid dictname:name dictnamespace:oid dictowner:oid dicttemplate:oid dictinitoption:text"),
    empty(
        "pg_ts_parser",
        "oid:oid prsname:name prsnamespace:oid prsstart:regproc prstoken:regproc prsend:regproc prsheadline:regproc prslextype:regproc",
    ),
    empty("pg_ts_template", "oid:oid tmplname:name tmplnamespace:oid tmplinit:regproc tmpllexize:regproc"),
    empty("pg_user_mapping", "oid:oid umuser:oid umserver:oid umoptions:_text"),
    empty("pg_user_mappings", "umid:oid srvid:oid srvname:name umuser:oid usename:name umoptions:_text"),
];
