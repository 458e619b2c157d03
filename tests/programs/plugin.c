// Loaded by accesses with dlopen.
int plugin_value = 1;
