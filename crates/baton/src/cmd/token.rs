//! `baton token`: who may call, and for what. The text of a token is printed once, alone on stdout, and is nowhere else.

use crate::{escape::shown, exit::ExitStatus, failure::Failure, printer, printer::Form, view, when};
use clap::{Args, Subcommand};
use client::{Client, v1};
use domain::Scope;
use serde_json::{Value, json};
use std::time::Duration;

#[derive(Args)]
pub struct Token {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Make a token, and print its text; nobody can show it again
    Create {
        /// What people call it
        #[arg(long)]
        name: String,
        /// What it is good for: submit, read, worker, admin, service; with commas between them; or enrol, for joining as a worker
        #[arg(long, value_name = "SCOPES", value_delimiter = ',', required = true, value_parser = scope)]
        scope: Vec<Scope>,
        /// Only for tasks of this queue; with submit and read
        #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
        queue: String,
        /// Only for the worker with this id; with worker or enrol
        #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
        worker: String,
        /// For so long, such as 30d; without it, until it is revoked, or with enrol a day
        #[arg(long, value_name = "TIME", value_parser = service::duration)]
        expires: Option<Duration>,
    },
    /// List all tokens, by their time; never their texts
    List,
    /// From now on it is good for nothing; streams that were opened with it end, tasks go on
    Revoke {
        /// The token's id
        id: String,
    },
}

fn scope(word: &str) -> Result<Scope, String> {
    Scope::parse(word).ok_or_else(|| format!("is none of {}", Scope::WORDS))
}

pub async fn token(gateway: &Client, form: Form, args: &Token) -> Result<ExitStatus, Failure> {
    match &args.verb {
        Verb::Create { name, scope, queue, worker, expires } => {
            let scopes = scope.iter().map(|scope| scope.as_str().to_owned()).collect();
            let expires_in_ms = expires.map_or(0, |length| i64::try_from(length.as_millis()).unwrap_or(i64::MAX));
            let (name, queue, worker) = (name.clone(), queue.clone(), worker.clone());
            let request = v1::CreateTokenRequest { name, scopes, queue, worker, expires_in_ms };
            create(gateway, form, request).await
        }
        Verb::List => list(gateway, form).await,
        Verb::Revoke { id } => {
            let token = gateway.revoke_token(id).await?;
            match form {
                Form::Json => printer::json(&shape(&token))?,
                Form::Table => printer::line(&format!("{} {} revoked", shown(&token.id), shown(&token.name)))?,
            }
            Ok(ExitStatus::Success)
        }
    }
}

async fn create(gateway: &Client, form: Form, request: v1::CreateTokenRequest) -> Result<ExitStatus, Failure> {
    let v1::CreateTokenResponse { token, text } = gateway.create_token(request).await?;
    let token = token.unwrap_or_default();
    match form {
        Form::Json => {
            let mut shape = shape(&token);
            shape["token"] = text.into();
            printer::json(&shape)?;
        }
        Form::Table => {
            let joins = token.scopes.iter().any(|scope| scope == Scope::Enrol.as_str());
            printer::line(&text)?;
            // One point is in the token itself, the other one before the hash.
            if joins && text.matches('.').count() < 2 {
                printer::note(
                    "note: this scheduler has no --enrol-ca, so nobody can join with it yet, and it names no CA",
                );
            }
            printer::note(&format!(
                "note: token {} made; its text is shown this once. Put it into a file that only you can read (umask 077) \
                 and name that by --token-file or BATON_TOKEN_FILE",
                token.id
            ));
        }
    }
    Ok(ExitStatus::Success)
}

async fn list(gateway: &Client, form: Form) -> Result<ExitStatus, Failure> {
    let tokens = gateway.tokens().await?;
    match form {
        Form::Json => printer::json(&tokens.iter().map(shape).collect::<Vec<_>>())?,
        Form::Table => {
            let head = ["ID", "NAME", "SCOPES", "ONLY", "STATE", "CREATED", "EXPIRES"];
            printer::table(&head, tokens.iter().map(row).collect())?;
        }
    }
    Ok(ExitStatus::Success)
}

fn state(token: &v1::TokenInfo) -> &'static str {
    match (token.revoked_ms, token.expires_ms) {
        // Whether it has expired doesn't matter any more: who joined by it stays.
        (0, _) if !token.enrolled_worker.is_empty() => "used",
        (0, 0) => "live",
        (0, expires) if expires > when::now_ms() => "live",
        (0, _) => "expired",
        (_, _) => "revoked",
    }
}

fn row(token: &v1::TokenInfo) -> Vec<String> {
    let only = match (token.queue.as_str(), token.worker.as_str()) {
        ("", "") => String::new(),
        ("", worker) => format!("worker {worker}"),
        (queue, _) => format!("queue {queue}"),
    };
    let state = match token.enrolled_worker.as_str() {
        "" => state(token).to_owned(),
        worker => format!("{} by {}", if token.revoked_ms == 0 { "used" } else { "revoked, used" }, shown(worker)),
    };
    vec![
        shown(&token.id),
        shown(&token.name),
        shown(&token.scopes.join(",")),
        shown(&only),
        state,
        view::time(token.created_ms).unwrap_or_default(),
        view::time(token.expires_ms).unwrap_or_default(),
    ]
}

fn shape(token: &v1::TokenInfo) -> Value {
    let v1::TokenInfo {
        id,
        name,
        scopes,
        queue,
        worker,
        created_ms,
        expires_ms,
        revoked_ms,
        enrolled_worker,
        enrolled_ms,
    } = token;
    json!({
        "id": id, "name": name, "scopes": scopes, "queue": queue, "worker": worker, "state": state(token),
        "created": view::time(*created_ms), "expires": view::time(*expires_ms), "revoked": view::time(*revoked_ms),
        "used_by": (!enrolled_worker.is_empty()).then_some(enrolled_worker), "used": view::time(*enrolled_ms),
    })
}
