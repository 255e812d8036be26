// What an engineer writes against the types that are made from the description.
import type { components, paths } from "./relais";

type Worklist = paths["/api/v1/requests"]["get"]["responses"]["200"]["content"]["application/json"];
type Answers = paths["/api/v1/requests/{request_id}/accept"]["post"]["responses"];
type Problem = Answers["409"]["content"]["application/problem+json"];
type Code = components["schemas"]["ProblemCode"];

export const numbers = (page: Worklist): (string | null)[] => page.items.map((request) => request.number);
export const wasTooLate = (problem: Problem): boolean => problem.code === "already_accepted";
export const version = (receipt: Answers["202"]["content"]["application/json"]): number => receipt.version;
export const pdf = (answer: paths["/api/v1/requests/{request_id}/case.pdf"]["get"]["responses"]["200"]["content"]): unknown =>
  answer["application/pdf"];

export const known: Code = "not_authenticated";
// @ts-expect-error: there is no such code
export const unknown: Code = "no_such_code";
// @ts-expect-error: nobody sees this status on a request that is accepted
export type Never = Answers["418"];
