// Everything that AWS's SDK for JavaScript reads of an IVS Real-Time, and how it shows a refusal, as one JSON object.
// Where to call, and with which keys, stands in the environment, as for every program of AWS's.
"use strict";
const ivs = require("@aws-sdk/client-ivs-realtime");

async function main() {
  const client = new ivs.IVSRealTimeClient({ maxAttempts: 1 });

  // The paginators write into what they are called with.
  async function all(paginate, member, input, pageSize) {
    const items = [];
    for await (const page of paginate({ client, pageSize }, { ...input })) items.push(...page[member]);
    return items;
  }

  const events = [];
  for (const { arn: stageArn } of await all(ivs.paginateListStages, "stages", {}, 1)) {
    for (const { sessionId } of await all(ivs.paginateListStageSessions, "stageSessions", { stageArn }, 1)) {
      const session = { stageArn, sessionId };
      for (const { participantId } of await all(ivs.paginateListParticipants, "participants", session, 3)) {
        const unit = { ...session, participantId };
        const { participant } = await client.send(new ivs.GetParticipantCommand(unit));
        if (participant.participantId !== participantId) throw new Error(`asked for ${participantId}`);
        for (const { name, eventTime } of await all(ivs.paginateListParticipantEvents, "events", unit, 100)) {
          events.push([stageArn, sessionId, participantId, name, eventTime.getTime()]);
        }
      }
    }
  }

  const refusals = {};
  async function refused(what, command) {
    try {
      await client.send(command);
    } catch (error) {
      const text = error.exceptionMessage ?? error.message;
      refusals[what] = [error.$metadata.httpStatusCode, error.name, text];
    }
  }
  const unknown = { stageArn: "arn:aws:ivs:us-east-1:111122223333:stage/nothing" };
  const foreign = { stageArn: "arn:aws:ivs:us-east-1:999922223333:stage/nothing" };
  await refused("unknown", new ivs.ListStageSessionsCommand(unknown));
  await refused("foreign", new ivs.ListStageSessionsCommand(foreign));
  await refused("token", new ivs.ListStagesCommand({ nextToken: "damaged" }));
  await refused("write", new ivs.CreateStageCommand({ name: "mine" }));
  console.log(JSON.stringify({ events, refusals }));
}

main();
