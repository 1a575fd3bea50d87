//! The tokens: made and revoked one at a time, durable before anybody hears of it, told to the gate and to every gateway.
//!
//! Must never keep a secret: it is in one answer, or in the file of a first token, and then nowhere.

use crate::{
    clock::Clock,
    enrol::{self, Joiner},
    mailbox::Handle,
};
use domain::{Error, Kind, NewToken, Result, Scope, Token, TokenId, UnixMillis, limits};
use futures_util::{Stream, StreamExt as _};
use service::{Gate, Secret};
use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    sync::Arc,
    time::Duration,
};
use store::Reader;
use tokio::sync::{Mutex, watch};
use tokio_stream::wrappers::WatchStream;

/// What the first tokens are good for, what they are called, and their files in the data directory.
const FIRST: [(Scope, &str, &str); 2] =
    [(Scope::Admin, "first administrator", "admin.token"), (Scope::Service, "first gateway", "gateway.token")];

/// All tokens there are, by their time.
pub(crate) type All = Arc<Vec<Token>>;

/// Holders may ask for tokens, change them and watch them.
#[derive(Clone)]
pub(crate) struct Tokens(Arc<Inner>);

struct Inner {
    mailbox: Handle,
    reader: Arc<dyn Reader>,
    gate: Gate,
    all: watch::Sender<All>,
    /// Who changes them holds it: what a change is judged by stays so until it is durable.
    changing: Mutex<()>,
}

impl Tokens {
    /// What the store has. The gate opens.
    ///
    /// # Errors
    /// The store can't be read.
    pub fn load(mailbox: Handle, reader: Arc<dyn Reader>, gate: Gate) -> Result<Self> {
        let all = read(reader.as_ref())?;
        gate.set(&all);
        let (all, changing) = (watch::Sender::new(Arc::new(all)), Mutex::default());
        Ok(Self(Arc::new(Inner { mailbox, reader, gate, all, changing })))
    }

    /// All there are.
    pub fn all(&self) -> All {
        self.0.all.borrow().clone()
    }

    /// All there are, now and after each change.
    pub fn watch(&self) -> impl Stream<Item = All> + Send + use<> {
        WatchStream::new(self.0.all.subscribe()).boxed()
    }

    /// Makes a token; durable when it returns.
    ///
    /// # Errors
    /// There are too many, or the scheduler can't store it.
    pub async fn create(&self, new: NewToken) -> Result<(Token, Secret)> {
        let (secret, id, hash) = Secret::draw()?;
        let lasts = new.lasts();
        let NewToken { name, scopes, queue, worker, expires_in: _ } = new;
        let created = Clock::start().now().wall;
        let expires = lasts.map(|length| after(created, length));
        let token = Token { id, name, hash, scopes, queue, worker, created, expires, revoked: None, enrolled: None };
        let _changing = self.0.changing.lock().await;
        self.keep(token.clone()).await?;
        Ok((token, secret))
    }

    /// Uses a token for joining; durable when it returns. Twice is as once, for the same worker with the same key.
    ///
    /// # Errors
    /// It isn't good for that, or the scheduler can't store it.
    pub async fn enrol(&self, id: TokenId, joiner: Joiner<'_>) -> Result<()> {
        let _changing = self.0.changing.lock().await;
        match enrol::used(&self.all(), id, joiner, Clock::start().now().wall)? {
            Some(token) => self.keep(token).await,
            None => Ok(()),
        }
    }

    /// Revokes a token; durable when it returns, and its streams are ending. Twice is as once.
    ///
    /// # Errors
    /// There is none, or the scheduler can't store it.
    pub async fn revoke(&self, id: TokenId) -> Result<Token> {
        let _changing = self.0.changing.lock().await;
        let found = self.all().iter().find(|token| token.id == id).cloned();
        let token = found.ok_or_else(|| Error::new(Kind::NotFound, format!("no token {id}")))?;
        if token.revoked.is_some() {
            return Ok(token);
        }
        let revoked = Some(Clock::start().now().wall);
        let token = Token { revoked, ..token };
        self.keep(token.clone()).await?;
        Ok(token)
    }

    /// Stores a token and tells of it. If nobody knows whether it is stored, what the store has is told.
    async fn keep(&self, token: Token) -> Result<()> {
        let now = Clock::start().now().wall;
        let mut all = Vec::clone(&self.all());
        all.retain(|other| other.id != token.id);
        let mut remove = Vec::new();
        if all.len() >= limits::TOKENS {
            // Those that are good for nothing give up their places, the oldest first.
            let over = all.len() + 1 - limits::TOKENS;
            remove = all.iter().filter(|token| token.is_spent(now)).map(|token| token.id).take(over).collect();
            all.retain(|token| !remove.contains(&token.id));
        }
        if all.len() >= limits::TOKENS {
            return Err(Error::new(Kind::Exhausted, format!("there are {} tokens: revoke some", limits::TOKENS)));
        }
        all.push(token.clone());
        all.sort_by_key(|token| (token.created, token.id));
        if let Err(error) = self.0.mailbox.keep_token(token, remove).await {
            if error.kind() == Kind::Unknown
                && let Ok(stored) = read(self.0.reader.as_ref())
            {
                self.tell(stored);
            }
            return Err(error);
        }
        self.tell(all);
        Ok(())
    }

    fn tell(&self, all: Vec<Token>) {
        self.0.gate.set(&all);
        self.0.all.send_replace(Arc::new(all));
    }

    /// Sees to it that somebody can be an administrator, and that a gateway can come in: for what no token is good, a new
    /// one goes into a file of its own that only its owner can read.
    ///
    /// # Errors
    /// A file can't be written, or a token can't be stored.
    pub async fn first(&self, data_dir: &Path) -> Result<()> {
        for (scope, name, file) in FIRST {
            let now = Clock::start().now().wall;
            let _changing = self.0.changing.lock().await;
            if self.all().iter().any(|token| token.is_live(now) && token.scopes.has(scope)) {
                continue;
            }
            let (secret, id, hash) = Secret::draw()?;
            // The file first: a token that nobody has would keep the next start from making one.
            let path = data_dir.join(file);
            put(&path, &secret).map_err(|error| Error::internal(format!("{}: {error}", path.display())))?;
            let (name, scopes) = (name.to_owned(), [scope].into_iter().collect());
            let (created, expires, revoked, enrolled) = (now, None, None, None);
            let (queue, worker) = (None, None);
            self.keep(Token { id, name, hash, scopes, queue, worker, created, expires, revoked, enrolled }).await?;
            tracing::info!(token = %id, scope = scope.as_str(), file = %path.display(), "First token of its sort made");
        }
        Ok(())
    }
}

/// What is allowed is far from where the numbers end.
fn after(moment: UnixMillis, length: Duration) -> UnixMillis {
    UnixMillis(moment.0.saturating_add(i64::try_from(length.as_millis()).unwrap_or(i64::MAX)))
}

fn read(reader: &dyn Reader) -> Result<Vec<Token>> {
    reader.tokens().map_err(|failure| Error::internal(format!("the tokens cannot be read: {failure}")))
}

/// Writes the file whole, in the place of one that is of no use any more.
fn put(path: &Path, secret: &Secret) -> io::Result<()> {
    let new = path.with_extension("token.new");
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&new)?;
    file.write_all(format!("{}\n", secret.text()).as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, path)
}
