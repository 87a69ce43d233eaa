import { expect, test } from "vitest";
import {
  isAhv,
  isBelgianNumber,
  isBsn,
  isCodiceFiscale,
  isCpf,
  isDniOrNie,
  isIban,
  isNir,
  isPesel,
  isSteuerId,
  passesLuhn,
} from "../../../../src/core/pipeline/redact/checksums.ts";

/** Numbers that the issuers publish as examples, and, where two differ in one sign, a wrong one. */
const NUMBERS: readonly (readonly [(text: string) => boolean, readonly string[], readonly string[]])[] = [
  [passesLuhn, ["4111111111111111", "378282246310005", "79927398713"], ["4111111111111112", "79927398710"]],
  [
    isIban,
    ["GB29NWBK60161331926819", "DE89370400440532013000", "MT84MALT011000012345MTLCAST001S"],
    ["GB29NWBK60161331926818", "DE8937040044053201300", "XX89370400440532013000"],
  ],
  [isDniOrNie, ["12345678Z", "X1234567L", "Y1234567X", "Z1234567R"], ["12345678A", "X1234567R", "A1234567L"]],
  [isCodiceFiscale, ["RSSMRA85T10A562S", "MRTMTT91D08F205J"], ["RSSMRA85T10A562T", "RSSMRA85Z10A562S"]],
  [isSteuerId, ["86095742719", "65929970489"], ["86095742710", "12345678901", "00095742719"]],
  [isNir, ["184127645108946", "269054958815780"], ["184127645108947", "984127645108946"]],
  [isBsn, ["111222333", "123456782"], ["111222334", "000000000", "111111111"]],
  [isPesel, ["44051401359", "02070803628"], ["44051401358"]],
  [isCpf, ["11144477735", "52998224725"], ["11144477734", "11111111111"]],
  [isAhv, ["7569217076985"], ["7569217076984", "7559217076985"]],
  [isBelgianNumber, ["85073003328", "17073003384"], ["85073003329"]],
];

test.each(NUMBERS)("%O knows right numbers from wrong ones", (check, right, wrong) => {
  expect(right.filter((each) => !check(each))).toEqual([]);
  expect(wrong.filter((each) => check(each))).toEqual([]);
});
