//! `bandy user`: accounts, from the command line. Safe beside a server that uses the same store.

use std::io::{self, IsTerminal, Read};

use bandy::accounts::{Accounts, Credentials, Filter, Options, Refused, Secret, User};
use bandy::error::{Error, Kind, Side};
use clap::{Args, Subcommand};
use serde_json::json;

use crate::exit::Code;
use crate::store::{self, StoreOption};
use crate::{prompt, report};

/// Add, list and change the users who may log in
#[derive(Debug, Args)]
#[command(after_help = "\
A server that uses the same store goes on meanwhile, and knows within seconds.

Examples:
  bandy user add ada --role admin
  pass show web/ada | bandy user add ada --password-stdin
  bandy user role ada --add editor --remove admin
  bandy user disable ada                  ends her sessions, and lets her in no more
  bandy user list --json | jq '.users[].name'")]
pub struct UserArgs {
    #[command(subcommand)]
    pub command: UserCommand,
    #[command(flatten)]
    pub store: StoreOption,
}

#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// Add a user, or give a name that was a removed user's to another
    Add {
        /// 1 to 32 letters, digits, '.', '_' and '-'; upper and lower case are one name
        name: String,
        /// What they may do, in a word of yours; repeatable
        #[arg(long, value_name = "ROLE")]
        role: Vec<String>,
        /// Read the password from stdin, instead of asking for it
        #[arg(long)]
        password_stdin: bool,
    },
    /// List the users
    List {
        /// Those who have this role
        #[arg(long, value_name = "ROLE")]
        role: Option<String>,
        /// Report as JSON
        #[arg(long)]
        json: bool,
    },
    /// Give a user roles, and take them away
    Role {
        /// Who
        name: String,
        /// One more; repeatable
        #[arg(long, value_name = "ROLE", required_unless_present = "remove")]
        add: Vec<String>,
        /// One less; repeatable
        #[arg(long, value_name = "ROLE")]
        remove: Vec<String>,
    },
    /// Let a user in no more, and end their sessions
    Disable {
        /// Who
        name: String,
    },
    /// Let a user in again
    Enable {
        /// Who
        name: String,
    },
    /// Give a user another password, and end their sessions
    Password {
        /// Who
        name: String,
        /// Read the password from stdin, instead of asking for it
        #[arg(long)]
        password_stdin: bool,
    },
    /// Remove a user, with their profile and sessions
    Remove {
        /// Who
        name: String,
    },
}

/// Runs `bandy user`.
///
/// # Errors
/// What the store refuses, and what is wrong with a name, a password or a role.
pub fn user(args: &UserArgs) -> Result<Code, Error> {
    // A store is made for a user only: so the password is there first.
    let new = match args.command {
        UserCommand::Add { password_stdin, .. } => Some(password(password_stdin)?),
        _ => None,
    };
    let store = store::open(&args.store, new.is_some())?;
    store::block_on(async {
        let accounts = Accounts::open(store.clone(), Options::default())?;
        let done = run(&accounts, &args.command, new).await;
        let closed = store.close().await;
        let text = done?;
        closed?;
        report::result(&text)
    })?
}

/// Does what is asked for, with a new user's password where it was asked for before; gives what to print.
async fn run(
    accounts: &Accounts,
    command: &UserCommand,
    new: Option<Secret>,
) -> Result<String, Error> {
    use UserCommand as C;
    match command {
        C::Add {
            name,
            role,
            password_stdin,
        } => {
            let password = match new {
                Some(password) => password,
                None => password(*password_stdin)?,
            };
            let credentials = Credentials::new(name, password);
            let user = accounts.add(credentials, role.clone()).await?;
            let user = user.map_err(|refused| failed("adding", name, refused))?;
            Ok(format!("added {}\n", with_roles(&user)))
        }
        C::List { role, json } => list(accounts, role.clone(), *json).await,
        C::Role { name, add, remove } => {
            let user = accounts.change_roles(name, add.clone(), remove).await?;
            let user = user.map_err(|refused| failed("changing the roles of", name, refused))?;
            Ok(format!("changed {}\n", with_roles(&user)))
        }
        C::Disable { name } => {
            let user = accounts.set_disabled(name, true).await?;
            let user = user.map_err(|refused| failed("disabling", name, refused))?;
            Ok(format!(
                "disabled {}: their sessions have ended\n",
                user.name
            ))
        }
        C::Enable { name } => {
            let user = accounts.set_disabled(name, false).await?;
            let user = user.map_err(|refused| failed("enabling", name, refused))?;
            Ok(format!("enabled {}\n", user.name))
        }
        C::Password {
            name,
            password_stdin,
        } => {
            // Before anybody is asked to think of one.
            if accounts.user(name).await?.is_none() {
                return Err(failed("giving a password to", name, Refused::NoSuchUser));
            }
            let user = accounts
                .set_password(name, password(*password_stdin)?)
                .await?;
            let user = user.map_err(|refused| failed("giving a password to", name, refused))?;
            Ok(format!(
                "changed the password of {}: their sessions have ended\n",
                user.name
            ))
        }
        C::Remove { name } => {
            let user = accounts.remove(name).await?;
            let user = user.map_err(|refused| failed("removing", name, refused))?;
            Ok(format!("removed {}\n", user.name))
        }
    }
}

async fn list(accounts: &Accounts, role: Option<String>, as_json: bool) -> Result<String, Error> {
    let filter = Filter {
        role,
        ..Filter::default()
    };
    let (mut users, mut after) = (Vec::new(), None::<String>);
    loop {
        let page = accounts.users(after.as_deref(), 1000, &filter).await?;
        users.extend(page.users);
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    Ok(match as_json {
        true => format!("{}\n", json!({ "users": users })),
        false => users.iter().map(|user| line(user, &users)).collect(),
    })
}

/// `ada    admin, editor`, the columns as wide as the widest name.
fn line(user: &User, all: &[User]) -> String {
    let widest = all.iter().map(|user| user.name.len()).max().unwrap_or(0);
    let roles = user.roles.join(", ");
    let disabled = if user.disabled { "  (disabled)" } else { "" };
    let text = format!("{:widest$}  {roles}{disabled}", user.name);
    format!("{}\n", text.trim_end())
}

/// `ada (admin, editor)`.
fn with_roles(user: &User) -> String {
    match user.roles.is_empty() {
        true => user.name.clone(),
        false => format!("{} ({})", user.name, user.roles.join(", ")),
    }
}

/// The new password: a line of stdin's, or what is typed at the terminal, twice.
fn password(from_stdin: bool) -> Result<Secret, Error> {
    const ACT: &str = "reading the password";
    if from_stdin {
        // The longest password and its line end, and one more byte to see that it is too long.
        let mut text = String::new();
        let read = io::stdin().lock().take(1027).read_to_string(&mut text);
        read.map_err(|e| Error::talking(Side::Local, ACT, e))?;
        let line = text.strip_suffix('\n').unwrap_or(&text);
        let line = line.strip_suffix('\r').unwrap_or(line);
        if line.contains('\n') {
            return Err(report::usage(
                ACT,
                "stdin has more than one line",
                "give it the password alone",
            ));
        }
        return Ok(Secret::new(line));
    }
    if !io::stdin().is_terminal() {
        return Err(report::usage(
            ACT,
            "stdin is not a terminal",
            "--password-stdin reads it from there",
        ));
    }
    let one = prompt::secret("Password: ")?;
    if one != prompt::secret("Again: ")? {
        return Err(report::usage(
            ACT,
            "the two are not the same",
            "run it again",
        ));
    }
    Ok(one)
}

fn failed(act: &str, name: &str, refused: Refused) -> Error {
    let kind = match refused.field() {
        Some(_) if refused != Refused::NameTaken => Kind::Usage,
        _ => Kind::Other,
    };
    let error = Error::new(kind, Side::Local, format!("{act} the user {name:?}"));
    let hint = match refused {
        Refused::NoSuchUser => "`bandy user list` shows who there is",
        Refused::NameTaken => "`bandy user password` and `bandy user role` change those there are",
        _ => return error.because(refused),
    };
    error.because(refused).hint(hint)
}
