// `bindings/hook.c` wants this symbol of an object file that would hold the contract in binary form. Here it is
// `componentize.mjs` that puts the contract into the module, from `hook.wit`.
void __component_type_object_force_link_hook(void) {}
