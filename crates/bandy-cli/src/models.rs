//! placeholder
#[derive(Debug, clap::Args)]
pub struct ModelsArgs {}
pub fn models(_: &ModelsArgs) -> Result<crate::exit::Code, bandy::error::Error> {
    Ok(crate::exit::Code::Done)
}
