//! `export`: streams a whole list to a file or to standard output.

use std::io::Write;

use anyhow::Context as _;

use crate::args::ExportArgs;
use crate::client::{Client, Request};
use crate::exit::{self, Unavailable, Usage};
use crate::files::{self, PUBLIC};
use crate::http;

/// Runs `stockline export`.
pub(crate) async fn export(args: &ExportArgs) -> anyhow::Result<u8> {
    let client = Client::new(&args.client)?;
    let mut request = Request::get(args.list.path()).accept(args.form.accept());
    for filter in &args.filter {
        let (name, value) = filter
            .split_once('=')
            .ok_or_else(|| Usage(format!("--filter {filter:?} must be NAME=VALUE, such as location_id=shop-1")))?;
        request = request.named(name, value);
    }
    let response = client.open(&request).await?;
    match &args.output {
        None => {
            let mut out = std::io::BufWriter::new(std::io::stdout().lock());
            copy(response, &mut out).await?;
        }
        Some(path) => {
            // The file appears when it is complete.
            let part = files::beside(path, "part");
            let written = async {
                let mut out = std::io::BufWriter::new(std::fs::File::create(&part)?);
                copy(response, &mut out).await?;
                Ok::<_, anyhow::Error>(())
            };
            let written = written.await.with_context(|| format!("can't write {}", path.display()));
            let moved = written.and_then(|()| {
                files::replace_atomic(path, PUBLIC, |file| {
                    std::io::copy(&mut std::fs::File::open(&part)?, file)?;
                    Ok(())
                })
            });
            // What is left of a cut export is of no use.
            let _ = std::fs::remove_file(&part);
            moved?;
        }
    }
    Ok(exit::OK)
}

async fn copy(mut response: reqwest::Response, out: &mut impl Write) -> anyhow::Result<()> {
    let cut =
        |error: reqwest::Error| Unavailable(format!("the export was cut off ({}); run it again", http::cause(&error)));
    while let Some(chunk) = response.chunk().await.map_err(cut)? {
        out.write_all(&chunk)?;
    }
    Ok(out.flush()?)
}
