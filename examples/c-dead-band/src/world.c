// `bindings/hook.c` refers to this symbol of an object file with the contract in binary form. Here `componentize.mjs` adds
// the contract to the module instead, from `hook.wit`.
void __component_type_object_force_link_hook(void) {}
