//! Receivers of alerts: TW104.

use super::{Explanation, code};

pub(super) const CODES: &[Explanation] = &[
    code(
        "TW1041",
        "a receiver cannot be reached",
        "Something is missing without which nobody can be told: the receiver's name, an address, a routing key, whom a mail is \
         for. The error says what; some of it may stand in `global`, for all receivers.",
    ),
    code(
        "TW1042",
        "Alertmanager has it, and it is not here",
        "A kind of receiver or an option of one that Alertmanager knows is not supported. Of kinds, `webhook_configs` with \
         `payload` or `body` reaches whatever takes HTTP, and `alertmanager_configs` hands alerts on to an Alertmanager that has \
         the kind. Of options, the error says what to give instead: `routing_key` for PagerDuty's `service_key`, for example.",
    ),
    code(
        "TW1043",
        "a receiver's address is none",
        "Write the whole address with its scheme, such as https://example.com/path, or host:port for a mail server. It cannot \
         have a template: an address can be a secret, and what is journalled before it is sent holds none. Give each address a \
         receiver of its own, and a route to it.",
    ),
    code(
        "TW1044",
        "a template cannot be read",
        "The option is a template of Go's language, and this is none; the error says where, as Go does. The functions and the \
         data are those that Alertmanager documents for notifications. Routing keys cannot have templates, for they are \
         secrets.",
    ),
    code("TW1045", "an option of a receiver is out of its range", "The error says what is allowed."),
];
