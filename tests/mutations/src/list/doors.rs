//! Certificates, web pages of other origins, and the files that root makes for a service.

use super::edit;
use crate::{Mutation, Suite};

const LIBRARY: &Suite = &Suite { arguments: &["-p", "stockline-ingress", "--lib"], sources: "ingress/src" };
const API: &Suite = &Suite { arguments: &["-p", "stockline-ingress", "--test", "api"], sources: "ingress/tests/api" };
const PROGRAM: &Suite = &Suite { arguments: &["-p", "stockline", "--test", "it"], sources: "standalone/tests/it" };
const MAIL: &Suite = &Suite { arguments: &["-p", "stockline", "--lib"], sources: "standalone/src" };

const CERTIFICATES: &str = "ingress/src/server/certificates.rs";
const CHAIN: &str = "ingress/src/server/chain.rs";

pub(super) const MUTATIONS: &[Mutation] = &[
    Mutation {
        name: "a-chain-is-shown-as-it-stands-in-the-file",
        edits: &[edit(
            CHAIN,
            "let order = order(&parsed, own);",
            "let order: Vec<usize> = (0..parsed.len()).collect();",
        )],
        suite: LIBRARY,
        killed_by: "server::certificates::tests::a_chain_is_shown_with_the_servers_own_certificate_first_whatever_its_order_in_the_file",
    },
    Mutation {
        name: "a-renewed-certificate-is-never-read",
        edits: &[edit(
            CERTIFICATES,
            "if digest == self.shown().digest {",
            "if digest == self.shown().digest || digest != [0; 32] {",
        )],
        suite: LIBRARY,
        killed_by: "server::certificates::tests::changed_files_are_shown_and_a_half_changed_pair_never",
    },
    Mutation {
        name: "nobody-is-told-that-the-certificate-ends",
        edits: &[edit(CHAIN, "until.millis_since(now) < soon_ms {", "until.millis_since(now) < soon_ms.min(0) {")],
        suite: LIBRARY,
        killed_by: "server::certificates::tests::a_certificate_that_ends_soon_or_has_ended_is_a_fault_until_it_is_renewed",
    },
    Mutation {
        name: "the-page-of-any-origin-may-call-the-api",
        edits: &[edit(
            "ingress/src/web.rs",
            ".allow_origin(AllowOrigin::list(origins.iter().map(|origin| origin.0.clone())))",
            ".allow_origin(AllowOrigin::mirror_request())",
        )],
        suite: API,
        killed_by: "web::the_pages_of_a_listed_origin_may_call_the_api_and_those_of_others_may_not",
    },
    Mutation {
        name: "links-lack-the-base-path",
        edits: &[edit("ingress/src/web.rs", "format!(\"{}{path}\", base.0)", "format!(\"{}{path}\", &base.0[..0])")],
        suite: API,
        killed_by: "web::behind_a_proxy_every_link_has_the_base_path_whether_the_proxy_takes_it_away_or_not",
    },
    Mutation {
        name: "what-root-makes-stays-roots",
        edits: &[edit(
            "common/sqlite/src/owner.rs",
            "folder.uid() == now.uid() ||",
            "folder.uid() == now.uid() || now.uid() == 0 ||",
        )],
        suite: PROGRAM,
        killed_by: "owner::what_root_does_while_the_service_is_stopped_belongs_to_the_service",
    },
    Mutation {
        name: "restored-files-stay-roots",
        edits: &[edit(
            "standalone/src/commands/restore.rs",
            "owner.uid != own.uid).then_some(owner)",
            "owner.uid == own.uid).then_some(owner)",
        )],
        suite: PROGRAM,
        killed_by: "owner::what_root_does_while_the_service_is_stopped_belongs_to_the_service",
    },
    Mutation {
        name: "a-mail-server-with-its-own-authority-is-not-trusted",
        edits: &[edit(
            "standalone/src/mail/smtp.rs",
            "if let Some(pem) = &options.ca_certificates {",
            "if let Some(pem) = options.ca_certificates.as_ref().filter(|_| false) {",
        )],
        suite: MAIL,
        killed_by: "mail::tests::a_mail_server_with_its_own_authority_is_trusted_only_by_its_file",
    },
];
