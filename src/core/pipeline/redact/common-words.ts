/**
 * Words that are names and something else besides, and words that stand where a name could: none is
 * taken for a person's unless somebody gave it as one, and then only as it was written.
 */
export function isCommonWord(word: string): boolean {
  return COMMON.has(word.toLowerCase());
}

const COMMON: ReadonlySet<string> = new Set(
  `
  a about account accounts add address admin administrator after again agent all alert allow also always an and angel any
  app april apple are art as ask at august autumn avenue away baby back bag bags bank bar bay beach bear bed bell best
  beauty big bill billing bird birch bishop black blue board bond book books bow box boy branch brand bread bridge brook
  brooks brown browse burns bush business but butler buy by call camp can candy car card care carpenter cart case cash cat
  chance change chase chat check checkout cherry china choose christian church city clay clean clear click close clothing
  club coffee cold color cook cool copper corn cost count country court cover create crystal cup customer customers customs
  cut daily daisy dale dark date dawn day deal deals dear december default delivery department design desk dollar done door
  double down drew drive drop earl early east easy easter edit elder email end enter error eve even event everyone evening
  exchange express fair faith family farmer february field find fine fire first fish flora flower flowers food for force
  ford forest form forward fox france frank free freeman french fresh friday friend friends from full garden gate gay gene
  general get gift girl give glass go gold good grace grand grant gray great green grey ground group guest hall hand hands
  happy harbor harbour hard hardware harmony have hazel head health heart heath heather heaven hello help here hi high hill
  history hold holiday holly home honey hood hope hot hour house how hunt hunter iris iron is island ivory ivy jack jade
  january jasmine jean jeans jewel joy judge july june just key kind king kitchen knight label lady lake lamb lamp land
  lane large last later law lead leaf learn leather less level light like lily lime line list little live loading local
  location log login london long look lot love low madam madison magic mail main make male man manager many maple march
  mark market martin mason master match max may mayor me media medium member members men menu mercy message miles mill
  miller mini mint miss mobile mode model monday money month moon more morning most mother mountain mr mrs ms music my name
  near need network never new news next night no none noon norm north not note november now number nurse oak ocean october
  of off offer office ok olive on once one online only open or orange order orders other our out outdoor over own page
  painter paper paris park parker part partner party pass password past patience patient pay payment pearl penny people
  pepper peter phone phoenix photo piece pine pink place plan plant play please plus policy pool poppy porter post potter
  power premium price prince privacy private product products profile project purple queen quick rain range rating ray read
  ready red reed register remove rent reserve results return returns reverend review reviews rice rich right ring river
  road rob robin rock room rose round row royal ruby run safe saffron sage sale sales same sandy save savannah school sea
  search season see select sell send september service services set settings shade shane share sharp shepherd ship shipping
  shirt shoe shoes shop short show side sierra sign silver simple sir sister size sky slim small smart smith snow soft solid
  some son song sort south space special spring square standard star start state stay steel step sterling stock stone stop
  store storm story street strong student style sugar summer sun sunday sunny support sweet table tablet take tall task
  taylor team teal temple test text thank thanks that the there these thing this thursday time title to today tomorrow tool
  tools top total town track trade translate travel tree true tuesday turner two type unit update upon us user valley value
  van vase verify very victor victory view violet virginia visit wait walk walker wall want warm washington watch water way
  we weaver web wednesday week welcome well west what wheel when where white who why wide will willow win wind window wine
  winter wise with woman women wonder wood woods word words work world would year yellow yes you young your zip zone
  `
    .trim()
    .split(/\s+/),
);
