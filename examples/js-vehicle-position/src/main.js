// What the component exports: the module of `position.js`, with the two interfaces that the host gives it.
import * as kv from "hookhost:hook/kv@0.1.0";
import * as log from "hookhost:hook/log@0.1.0";
import { exported } from "./hookhost.js";
import { vehiclePosition } from "./position.js";

export const handler = exported(vehiclePosition, { kv, log });
