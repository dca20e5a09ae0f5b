// The export of the component: the module in `module.js`, with the two interfaces of the host.
import * as kv from "hookhost:hook/kv@0.1.0";
import * as log from "hookhost:hook/log@0.1.0";
import { exported } from "./hookhost.js";
import { makeModule } from "./module.js";

export const handler = exported(makeModule, { kv, log });
