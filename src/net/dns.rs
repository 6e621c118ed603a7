//! Questions to the DNS. The servers, the search list and `ndots` are those of `/etc/resolv.conf`; answers are not kept
//! beyond the question.

use std::net::IpAddr;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ResolveHosts, ResolverConfig, ResolverOpts};
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};

/// Asks for names as the system completes them.
pub struct Resolver {
    servers: TokioResolver,
    /// The domains in which a name is looked for.
    search: Vec<Name>,
    ndots: usize,
}

impl Resolver {
    /// One that goes by `/etc/resolv.conf` as it is now.
    pub fn of_system() -> Result<Self, NetError> {
        let (config, options) = hickory_resolver::system_conf::read_system_conf()?;
        Self::new(config, options)
    }

    /// One that asks these servers.
    pub fn new(config: ResolverConfig, mut options: ResolverOpts) -> Result<Self, NetError> {
        options.cache_size = 0;
        // The DNS was asked for, not /etc/hosts.
        options.use_hosts_file = ResolveHosts::Never;
        let (search, ndots) = (config.search().to_vec(), options.ndots);
        let servers = TokioResolver::builder_with_config(config, Default::default()).with_options(options).build()?;
        Ok(Self { servers, search, ndots })
    }

    /// Looks for a name and its completions, in the order of the search list. The first that exists counts, even with
    /// no record of this type. Where every server says that none exists, there are no records; otherwise it is
    /// not known, and that is the error.
    pub async fn lookup(&self, name: &str, kind: RecordType) -> Result<Vec<Record>, String> {
        let mut trouble = None;
        for name in completions(&self.search, self.ndots, name)? {
            match self.servers.lookup(name, kind).await {
                Ok(answer) => return Ok(answer.answers().to_vec()),
                Err(NetError::Dns(DnsError::NoRecordsFound(none))) => match none.response_code {
                    ResponseCode::NoError => return Ok(Vec::new()),
                    ResponseCode::NXDomain => {}
                    code => trouble = Some(format!("the server says {code}")),
                },
                Err(error) => trouble = Some(error.to_string()),
            }
        }
        trouble.map_or(Ok(Vec::new()), Err)
    }

    /// The addresses of a name: those of IPv4, or of IPv6 where there are none, so that what has both is there once.
    pub async fn addresses(&self, name: &str) -> Result<Vec<IpAddr>, String> {
        for kind in [RecordType::A, RecordType::AAAA] {
            let records = self.lookup(name, kind).await?;
            let addresses: Vec<_> = records.iter().filter_map(address).collect();
            if !addresses.is_empty() {
                return Ok(addresses);
            }
        }
        Ok(Vec::new())
    }
}

fn completions(search: &[Name], ndots: usize, name: &str) -> Result<Vec<Name>, String> {
    let mut whole = Name::from_utf8(name).map_err(|error| error.to_string())?;
    if whole.is_fqdn() {
        return Ok(vec![whole]);
    }
    // A name too long to be completed is not there.
    let completed = search.iter().filter_map(|domain| whole.clone().append_domain(domain).ok());
    let mut names: Vec<Name> = completed.collect();
    let first = usize::from(whole.num_labels()) > ndots;
    whole.set_fqdn(true);
    names.insert(if first { 0 } else { names.len() }, whole);
    Ok(names)
}

fn address(record: &Record) -> Option<IpAddr> {
    match &record.data {
        RData::A(address) => Some(IpAddr::V4(address.0)),
        RData::AAAA(address) => Some(IpAddr::V6(address.0)),
        // What led to the records: CNAME.
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_completed_in_the_order_that_their_dots_say() {
        let search = [Name::from_ascii("a.").expect("a name")];
        let order = |text| {
            let names = completions(&search, 1, text).expect("names");
            names.iter().map(Name::to_ascii).collect::<Vec<_>>()
        };
        assert_eq!(order("x"), ["x.a.", "x."]);
        assert_eq!(order("x.y"), ["x.y.", "x.y.a."]);
        assert_eq!(order("x."), ["x."]);
    }
}
