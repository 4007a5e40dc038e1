import { brokerSuite } from '../support/broker-suite.ts';
import { MOSQUITTO } from '../support/broker-table.ts';

brokerSuite(MOSQUITTO);
