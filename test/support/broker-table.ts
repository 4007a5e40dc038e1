/** What each broker does where MQTT leaves it free, or where it lacks something; the suite holds it to every row. */
import { aedes } from './aedes.ts';
import type { BrokerMaker } from './broker-rig.ts';
import { mosquitto } from './mosquitto.ts';
import { nats } from './nats.ts';
import { rabbitmq } from './rabbitmq.ts';

/** One row: what is, and why the suite does not ask for the best of the possible values. */
export interface Row<T> {
  readonly is: T;
  readonly because: string;
}

export interface BrokerTraits {
  readonly name: string;
  readonly make: BrokerMaker;
  /** How a CONNECT of MQTT 5 is answered: taken, refused by a code, or closed without a word. */
  readonly mqtt5: Row<'spoken' | 'refused' | 'closed'>;
  /** What a refused login is told. */
  readonly refusedLogin: Row<'bad user name or password' | 'not authorised'>;
  /** How a filter that the rights do not cover is denied. */
  readonly deniedFilter: Row<'answer' | 'nothing' | 'close'>;
  /** How a publish that the rights do not cover is denied. */
  readonly deniedPublish: Row<'answer' | 'nothing' | 'close'>;
  /** What becomes of a command beyond the limit of 64 KiB; `swallowed` leaves its sender without an answer. */
  readonly oversize: Row<'stopped' | 'swallowed' | 'delivered'>;
  /** Whether a stored command reaches a device that subscribes: marked as stored, or not at all. */
  readonly storedCommand: Row<'marked' | 'withheld'>;
  /** Whether a filter with a wildcard gets what is stored: the operator's view of a fleet lives on it. */
  readonly storedByWildcard: Row<boolean>;
  /** Whether documents and sessions survive a kill -9 of the broker. */
  readonly survivesCrash: Row<boolean>;
  /** Whether the listener with TLS is tried in the same go. */
  readonly tls: Row<boolean>;
  /** Whether the whole daemon is tried on it in the same go. */
  readonly daemon: Row<boolean>;
}

const usual = <T>(is: T): Row<T> => ({ is, because: 'as MQTT has it' });

export const MOSQUITTO: BrokerTraits = {
  name: 'Mosquitto',
  make: mosquitto,
  mqtt5: usual('spoken'),
  refusedLogin: { is: 'not authorised', because: 'it does not tell a wrong password from a missing right' },
  deniedFilter: {
    is: 'nothing',
    because: 'its acl_file is asked when a message is to be delivered, and then it is not',
  },
  deniedPublish: usual('answer'),
  oversize: usual('stopped'),
  storedCommand: { is: 'withheld', because: 'MQTT 5 lets the device say so' },
  storedByWildcard: usual(true),
  survivesCrash: { is: false, because: 'it writes its store at its end and every half hour' },
  tls: { is: false, because: 'link-tls.test.ts does, with client certificates' },
  daemon: { is: false, because: 'daemon-mosquitto.test.ts does, in both versions of MQTT' },
};

export const NATS: BrokerTraits = {
  name: 'NATS',
  make: nats,
  mqtt5: { is: 'refused', because: 'it speaks 3.1.1 only' },
  refusedLogin: { is: 'not authorised', because: 'it has this one code for every refusal' },
  deniedFilter: usual('answer'),
  deniedPublish: { is: 'nothing', because: '3.1.1 has no code for it, so PUBACK says yes' },
  oversize: { is: 'delivered', because: 'max_payload does not hold for its MQTT clients' },
  storedCommand: usual('marked'),
  storedByWildcard: usual(true),
  survivesCrash: usual(true),
  tls: { is: true, because: 'nothing else does' },
  daemon: { is: true, because: 'nothing else does' },
};

export const RABBITMQ: BrokerTraits = {
  name: 'RabbitMQ',
  make: rabbitmq,
  mqtt5: { is: 'closed', because: 'its parser does not know the packet; 3.13 and later speak MQTT 5' },
  refusedLogin: usual('bad user name or password'),
  deniedFilter: { is: 'close', because: 'a refused binding ends the connection' },
  deniedPublish: { is: 'close', because: 'a refused message ends the connection' },
  oversize: {
    is: 'swallowed',
    because: 'max_message_size ends the channel behind the connection, not the connection',
  },
  storedCommand: { is: 'withheld', because: 'its store is not looked through for filters with a wildcard' },
  storedByWildcard: { is: false, because: 'its store is not looked through for filters with a wildcard' },
  survivesCrash: usual(true),
  tls: { is: true, because: 'nothing else does' },
  daemon: { is: true, because: 'nothing else does' },
};

export const AEDES: BrokerTraits = {
  name: 'aedes',
  make: aedes,
  mqtt5: { is: 'refused', because: 'it speaks 3.1.1 only' },
  refusedLogin: usual('bad user name or password'),
  deniedFilter: usual('answer'),
  deniedPublish: { is: 'close', because: 'a refused message ends the connection' },
  oversize: { is: 'delivered', because: 'it has no limit' },
  storedCommand: usual('marked'),
  storedByWildcard: usual(true),
  survivesCrash: { is: false, because: 'it keeps everything in memory' },
  tls: { is: false, because: 'it is a library: TLS is in front of it' },
  daemon: { is: false, because: 'every other test of the daemon has it for its broker' },
};
