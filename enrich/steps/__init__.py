"""One enrichment a file, all with the signature that `enrich.chain.Step` names."""
