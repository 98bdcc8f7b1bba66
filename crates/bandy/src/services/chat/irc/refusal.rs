//! What was refused, by the number that clients know it by.

use super::super::model::Refused;
use super::out::Out;
use crate::wire::irc::numeric::{self, Numeric};

/// What a command was about to do: the same refusal has other numbers for other acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    Join,
    Speak,
    List,
    Other,
}

/// Tells why something was not done. `about` is what the command named, as it was written.
pub(super) fn tell(out: &mut Out, act: Act, command: &str, about: &str, why: &Refused) {
    let text = why.to_string();
    let numbered = |numeric| (numeric, about);
    let (numeric, about): (Numeric, &str) = match why {
        Refused::NickTaken(_) | Refused::NickReserved(_) => numbered(numeric::ERR_NICKNAMEINUSE),
        Refused::NickWrong(_) => numbered(numeric::ERR_ERRONEUSNICKNAME),
        Refused::NickFixed => numbered(numeric::ERR_NICKLOCKED),
        Refused::NoSuchNick(_) => numbered(numeric::ERR_NOSUCHNICK),
        Refused::NoSuchRoom(_) | Refused::RoomWrong(_) => numbered(numeric::ERR_NOSUCHCHANNEL),
        Refused::NotMember(_) | Refused::Banned(..) | Refused::Muted(_) | Refused::Moderated(_)
            if act == Act::Speak =>
        {
            numbered(numeric::ERR_CANNOTSENDTOCHAN)
        }
        Refused::NotMember(_) => numbered(numeric::ERR_NOTONCHANNEL),
        Refused::NotThere(nick, room) => {
            let channel = format!("#{room}");
            return out.reply(numeric::ERR_USERNOTINCHANNEL, &[nick, &channel], &text);
        }
        Refused::Banned(..) => numbered(numeric::ERR_BANNEDFROMCHAN),
        Refused::Muted(_) | Refused::Moderated(_) => numbered(numeric::ERR_CANNOTSENDTOCHAN),
        Refused::InviteOnly(_) => numbered(numeric::ERR_INVITEONLYCHAN),
        Refused::WrongPassword(_) => numbered(numeric::ERR_BADCHANNELKEY),
        Refused::RoomFull(_) => numbered(numeric::ERR_CHANNELISFULL),
        Refused::NotAllowed(..) => numbered(numeric::ERR_CHANOPRIVSNEEDED),
        Refused::Empty if act == Act::Speak => {
            return out.reply(numeric::ERR_NOTEXTTOSEND, &[], &text);
        }
        Refused::TooLong(..) => return out.reply(numeric::ERR_INPUTTOOLONG, &[], &text),
        Refused::TooMany(..) if act == Act::Join => numbered(numeric::ERR_TOOMANYCHANNELS),
        Refused::TooMany(..) if act == Act::List => numbered(numeric::ERR_BANLISTFULL),
        Refused::TooFast(_) => (numeric::RPL_TRYAGAIN, command),
        Refused::NoSuchEntry(_) | Refused::NotYours(_) => {
            return out.fail(command, "INVALID_MSGID", &[], &text);
        }
        Refused::LoginNeeded | Refused::NoGuests => {
            return out.fail(command, "ACCOUNT_REQUIRED", &[], &text);
        }
        _ => return out.fail(command, "CANNOT_DO", &[], &text),
    };
    match about.is_empty() || about.contains(' ') || about.starts_with(':') {
        true => out.reply(numeric, &["*"], &text),
        false => out.reply(numeric, &[about], &text),
    }
}
