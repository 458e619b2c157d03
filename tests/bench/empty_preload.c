// Nothing: what the loader takes for any preloaded library is the least that recording can cost.
int ocp_watch_empty_preload;
