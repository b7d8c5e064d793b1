//! Reads a relation, whole or from its cursor on, in chunks that each leave the stream where the next load continues.
//!
//! Everything is read from one snapshot. A chunk with a cursor holds all rows beyond the last chunk's bound up to and
//! with its own, so that rows with the same cursor are never in two of them.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cordada_core::{Error, Result};
use cordada_ingest_source::Landed;
use cordada_ingest_source::extract::{Chunk, Extraction, Rows, State};

use crate::config::DatabaseStream;
use crate::keys;
use crate::position::{Position, definition};
use crate::session::{ColumnNames, Operator, Part, Session, SessionRows};

/// Rows of a chunk with a cursor.
const CHUNK_ROWS: u64 = 1_000_000;
/// The column that says that a row is gone.
const DELETED: &str = "_deleted";

/// What to read, besides the session.
pub(crate) struct RelationRequest<'a> {
    pub(crate) stream: &'a DatabaseStream,
    pub(crate) replace: bool,
    pub(crate) state: Option<State>,
    pub(crate) existing: Arc<dyn Landed>,
}

/// The extraction of one relation.
pub(crate) struct RelationExtraction {
    session: Box<dyn Session>,
    /// For messages and `_origin`: the table, or `query`.
    origin: String,
    definition: String,
    /// The cursor's columns, by the source's own names.
    cursor: Vec<String>,
    key: Vec<String>,
    lag: Option<Duration>,
    /// Whether rows may land twice, as the second does no harm.
    repeatable: bool,
    /// Whether all rows replace all that are there.
    replace: bool,
    compare: Option<Arc<dyn Landed>>,
    /// The columns with a transform, by the source's own names: not even a hash of theirs is kept.
    hidden: Vec<String>,
    next: Step,
}

/// What comes next.
enum Step {
    /// All rows, or those of the cursor after the position or from a value on.
    Start(Start),
    /// The slices from there on; then the state is this.
    Slices(usize, Option<State>),
    /// The rows above a bound, up to and with the other.
    Window(LowerBound, Vec<String>),
    /// The rows of the source that are gone.
    Compare,
    Done,
}

/// Where a load begins.
enum Start {
    Everything,
    Value(String),
    Position(Position),
}

/// The columns that have a transform, or within which something has, by the source's own names.
fn hidden(names: &ColumnNames) -> Vec<String> {
    let columns = names.options.columns.iter();
    let transformed = columns.filter(|(_, options)| options.transform.is_some());
    let hidden: HashSet<&str> = transformed.filter_map(|(path, _)| path.split('.').next()).collect();
    let columns = names.sources().iter().zip(names.lake());
    let hidden = columns.filter(|(_, lake)| hidden.contains(lake.as_str()));
    hidden.map(|(source, _)| source.clone()).collect()
}

/// The end of a window that it does not begin before.
enum LowerBound {
    /// None of the rows is excluded.
    Nothing,
    Above(Vec<String>),
    /// In the first column, as SQL.
    FromFirst(String),
}

impl RelationExtraction {
    /// Prepares to read.
    ///
    /// # Errors
    /// Config: a column of the cursor or of the key is not there, or the cursor does not tell rows apart.
    pub(crate) async fn new(mut session: Box<dyn Session>, request: RelationRequest<'_>) -> Result<Self> {
        let RelationRequest { stream, replace, .. } = request;
        let (cursor, key) = check(session.as_mut(), stream).await?;
        let position = match replace || cursor.is_empty() {
            true => None,
            false => Position::of_state(request.state, stream)?,
        };
        let start = match (position, &stream.initial) {
            (Some(position), _) => Start::Position(position),
            (None, Some(value)) => Start::Value(value.clone()),
            (None, None) => Start::Everything,
        };
        Ok(Self {
            hidden: hidden(session.columns()),
            session,
            origin: stream.label().to_owned(),
            definition: definition(stream),
            cursor,
            key,
            lag: stream.lag.map(|lag| lag.0),
            repeatable: stream.is_repeatable(),
            replace,
            compare: stream.deletes.map(|_| request.existing),
            next: Step::Start(start),
        })
    }

    /// Reads everything and leaves the stream in `state`; then, with `compare`, finds what the lake has too much.
    pub(crate) fn whole(
        session: Box<dyn Session>,
        origin: String,
        key: Vec<String>,
        state: State,
        compare: Option<Arc<dyn Landed>>,
    ) -> Self {
        Self {
            session,
            origin,
            definition: String::new(),
            cursor: Vec::new(),
            key,
            lag: None,
            repeatable: true,
            replace: false,
            compare,
            hidden: Vec::new(),
            next: Step::Slices(0, Some(state)),
        }
    }

    fn names(&self) -> Vec<String> {
        self.cursor.iter().map(|column| self.session.name(column)).collect()
    }

    /// The condition that the cursor has a place in the order of all.
    fn complete(&self) -> String {
        let conditions: Vec<_> = self
            .cursor
            .iter()
            .map(|column| self.session.has_place(column))
            .collect();
        conditions.join(" AND ")
    }

    /// The cursor's columns as text in the order of the cursor, under a condition.
    fn cursors(&self, condition: &str, descending: bool, behind: &str) -> String {
        // With names of their own, or the order would be that of the texts.
        let texts = self.cursor.iter().enumerate();
        let texts: Vec<_> = texts
            .map(|(at, column)| format!("{} AS cursor_{at}", self.session.text_of(column)))
            .collect();
        let direction = if descending { " DESC" } else { "" };
        let order: Vec<_> = self.names().iter().map(|name| format!("{name}{direction}")).collect();
        let (texts, relation, order) = (texts.join(", "), self.session.relation(), order.join(", "));
        format!("SELECT {texts} FROM {relation} WHERE {condition} ORDER BY {order} {behind}")
    }

    fn literals(&self, values: &[String]) -> Result<Vec<String>> {
        if values.len() != self.cursor.len() {
            let why = "the position has not as many values as the cursor has columns";
            return Err(Error::failed(format!("continuing {}", self.origin), why));
        }
        self.cursor
            .iter()
            .zip(values)
            .map(|(column, value)| self.session.literal(column, value))
            .collect()
    }

    fn bounded(&self, operator: Operator, values: &[String]) -> Result<String> {
        Ok(self.session.compare(&self.names(), operator, &self.literals(values)?))
    }

    /// The condition of a window's rows.
    fn window(&self, lower: &LowerBound, upper: &[String]) -> Result<String> {
        let mut conditions = vec![self.complete(), self.bounded(Operator::AtMost, upper)?];
        match lower {
            LowerBound::Nothing => {}
            LowerBound::Above(values) => conditions.push(self.bounded(Operator::Above, values)?),
            LowerBound::FromFirst(literal) => {
                let first: Vec<_> = self.names().into_iter().take(1).collect();
                let literal = std::slice::from_ref(literal);
                conditions.push(self.session.compare(&first, Operator::AtLeast, literal));
            }
        }
        Ok(conditions.join(" AND "))
    }

    /// The first row of a query of the cursor.
    async fn cursor_of(&mut self, sql: &str) -> Result<Option<Vec<String>>> {
        let row = self.session.first(sql).await?;
        Ok(row.and_then(|row| row.into_iter().collect()))
    }

    /// The state after the rows up to `cursor`.
    async fn state(&mut self, cursor: Vec<String>) -> Result<State> {
        let ties = match self.cursor.as_slice() {
            [_] if self.repeatable && self.lag.is_none() && !cursor.is_empty() => Some(self.ties(&cursor).await?),
            _ => None,
        };
        let position = Position {
            of: self.definition.clone(),
            cursor,
            ties,
        };
        serde_json::to_value(position).map_err(|error| Error::failed("keeping the cursor", error))
    }

    /// What the rows at the cursor are: rows of the same moment may join them, and one that changes within it stays.
    async fn ties(&mut self, cursor: &[String]) -> Result<String> {
        let literals = self.literals(cursor)?;
        let condition = format!("{} = {}", self.names().join(", "), literals.join(", "));
        keys::digest(self.session.rows(Part::Where(condition)).await?, &self.hidden).await
    }

    /// What the start leads to.
    async fn start(&mut self, start: Start) -> Result<Step> {
        if self.cursor.is_empty() {
            return Ok(Step::Slices(0, None));
        }
        let newest = self.cursors(&self.complete(), true, "LIMIT 1");
        let upper = self.cursor_of(&newest).await?;
        let position = match (start, upper.as_ref()) {
            (Start::Everything, _) => {
                self.warn_of_nulls().await?;
                let state = self.state(upper.unwrap_or_default()).await?;
                return Ok(Step::Slices(0, Some(state)));
            }
            (Start::Value(value), Some(upper)) => {
                let first = self.cursor.first().map(String::as_str).unwrap_or_default();
                return Ok(Step::Window(
                    LowerBound::FromFirst(self.session.literal(first, &value)?),
                    upper.clone(),
                ));
            }
            (Start::Position(position), Some(_)) => position,
            // No row has a cursor, so there is nothing new.
            (_, None) => return Ok(Step::Compare),
        };
        let upper = upper.unwrap_or_default();
        let lower = match (position.cursor.first(), self.lag) {
            (None, _) => LowerBound::Nothing,
            (Some(value), Some(lag)) => {
                let first = self.cursor.first().map(String::as_str).unwrap_or_default();
                let literal = self.session.literal(first, value)?;
                LowerBound::FromFirst(self.session.before(first, &literal, lag.as_secs())?)
            }
            (Some(value), None) if self.cursor.len() == 1 && self.repeatable => {
                if position.ties.is_some()
                    && position.cursor == upper
                    && position.ties == Some(self.ties(&upper).await?)
                {
                    return Ok(Step::Compare);
                }
                let first = self.cursor.first().map(String::as_str).unwrap_or_default();
                LowerBound::FromFirst(self.session.literal(first, value)?)
            }
            (Some(_), None) => LowerBound::Above(position.cursor),
        };
        Ok(Step::Window(lower, upper))
    }

    /// Says that there are rows without a cursor: they land now, and what becomes of them is not seen. Large tables
    /// are not searched for them.
    async fn warn_of_nulls(&mut self) -> Result<()> {
        let relation = self.session.relation();
        let any = format!("SELECT '1' FROM {relation} WHERE NOT ({}) LIMIT 1", self.complete());
        if self.session.slices() == 1 && self.session.first(&any).await?.is_some() {
            tracing::warn!(
                stream = self.origin,
                "some rows have no cursor, or one without end: they are read now, and not when they change later"
            );
        }
        Ok(())
    }

    /// The next slices: for rows that replace others one at a time, for the others all, as a load that stops between
    /// two of them begins again.
    async fn slices(&mut self, from: usize, state: Option<State>) -> Result<(Option<Chunk>, Step)> {
        let all = self.session.slices();
        let range: Range<usize> = if self.repeatable && !self.replace {
            from..from + 1
        } else {
            from..all
        };
        let end = range.end;
        let rows = self.session.rows(Part::Slices(range)).await?;
        let (now, next) = match end < all {
            true => (None, Step::Slices(end, state)),
            false => (state, Step::Compare),
        };
        let mut chunk = self.chunk(rows, now, None);
        chunk.last = end == all && self.compare.is_none();
        Ok((Some(chunk), next))
    }

    /// The next rows of a window.
    async fn windowed(&mut self, lower: LowerBound, upper: Vec<String>) -> Result<(Option<Chunk>, Step)> {
        let condition = self.window(&lower, &upper)?;
        let probe = self.cursors(&condition, false, &format!("LIMIT 1 OFFSET {CHUNK_ROWS}"));
        let bound = self.cursor_of(&probe).await?;
        let (bound, next) = match bound {
            Some(bound) if bound != upper => {
                let next = Step::Window(LowerBound::Above(bound.clone()), upper);
                (bound, next)
            }
            _ => {
                let any = format!("SELECT '1' FROM {} WHERE {condition} LIMIT 1", self.session.relation());
                if self.session.first(&any).await?.is_none() {
                    return Ok((None, Step::Compare));
                }
                (upper, Step::Compare)
            }
        };
        let condition = self.window(&lower, &bound)?;
        let state = self.state(bound).await?;
        let rows = self.session.rows(Part::Where(condition)).await?;
        Ok((Some(self.chunk(rows, Some(state), None)), next))
    }

    /// The keys that the lake has and the source has not.
    async fn compared(&mut self) -> Result<Option<Chunk>> {
        let Some(existing) = self.compare.take() else {
            return Ok(None);
        };
        let names = self.session.columns().in_lake(&self.key);
        let Some(existing) = existing.keys(&names).await? else {
            return Ok(None);
        };
        let source = self.session.rows(Part::Columns(self.key.clone())).await?;
        let missing = keys::missing(source, existing, &names, DELETED).await?;
        Ok(missing.map(|(schema, partition)| {
            let rows = SessionRows {
                schema,
                partitions: vec![partition],
            };
            self.chunk(rows, None, Some(DELETED.to_owned()))
        }))
    }

    fn chunk(&self, rows: SessionRows, state: Option<State>, deleted: Option<String>) -> Chunk {
        let rows = Rows::Typed {
            schema: rows.schema,
            partitions: rows.partitions,
            origin: self.origin.clone(),
            // What is gone is known by its key, which has landed before.
            misfits: deleted.is_none(),
            deleted,
        };
        Chunk::new(rows, state, 0)
    }
}

#[async_trait]
impl Extraction for RelationExtraction {
    async fn next(&mut self) -> Result<Option<Chunk>> {
        loop {
            let (chunk, next) = match std::mem::replace(&mut self.next, Step::Done) {
                Step::Start(start) => (None, self.start(start).await?),
                Step::Slices(from, state) => self.slices(from, state).await?,
                Step::Window(lower, upper) => self.windowed(lower, upper).await?,
                Step::Compare => (self.compared().await?, Step::Done),
                Step::Done => return Ok(None),
            };
            self.next = next;
            if chunk.is_some() {
                return Ok(chunk);
            }
        }
    }
}

/// The cursor's and the key's columns by the source's own names.
///
/// # Errors
/// Config: one is not there; rows are appended by a cursor that two rows can share.
pub(crate) async fn check(session: &mut dyn Session, stream: &DatabaseStream) -> Result<(Vec<String>, Vec<String>)> {
    let doing = format!("reading {}", stream.label());
    let names = session.columns();
    let find = |name: &String| names.find(name, &doing).map(|at| names.sources()[at].clone());
    let cursor: Vec<_> = stream.cursor.iter().map(find).collect::<Result<_>>()?;
    let key: Vec<_> = stream.options().key.iter().map(find).collect::<Result<_>>()?;
    if let [only] = cursor.as_slice()
        && !stream.is_repeatable()
        && !session.is_unique(only).await?
    {
        let why = format!("two rows can have the same `{only}`, and one that comes later would be missed");
        let hint = format!("add a unique column, cursor: [{only}, id], or use `disposition: merge` with a key");
        return Err(Error::config(doing, why).hint(hint));
    }
    if let (Some(first), Some(lag)) = (cursor.first(), stream.lag.map(|lag| lag.0)) {
        session.before(first, "''", lag.as_secs())?;
    }
    Ok((cursor, key))
}
