import { graphql, useLazyLoadQuery, useMutation, usePaginationFragment } from 'react-relay';

import type { ChatEarlierQuery } from './__generated__/ChatEarlierQuery.graphql.ts';
import type { ChatQuery } from './__generated__/ChatQuery.graphql.ts';
import type { ChatSendMutation } from './__generated__/ChatSendMutation.graphql.ts';
import type { Chat_conversation$key } from './__generated__/Chat_conversation.graphql.ts';

export function Chat({ id }: { id: string }) {
  const { node } = useLazyLoadQuery<ChatQuery>(
    graphql`
      query ChatQuery($id: ID!) {
        node(id: $id) {
          ...Chat_conversation @alias(as: "conversation")
        }
      }
    `,
    { id },
  );
  return node?.conversation ? <Messages conversation={node.conversation} /> : <p>There is no such conversation.</p>;
}

function Messages(props: { conversation: Chat_conversation$key }) {
  const { data, hasPrevious, loadPrevious } = usePaginationFragment<ChatEarlierQuery, Chat_conversation$key>(
    graphql`
      fragment Chat_conversation on Conversation
      @argumentDefinitions(last: { type: "Int", defaultValue: 3 }, before: { type: "String" })
      @refetchable(queryName: "ChatEarlierQuery") {
        id
        messageCount
        messages(last: $last, before: $before) @connection(key: "Chat_messages") {
          __id
          edges {
            node {
              id
              content(maxChars: 80)
            }
          }
        }
      }
    `,
    props.conversation,
  );
  const [send] = useMutation<ChatSendMutation>(graphql`
    mutation ChatSendMutation($input: SendMessageInput!, $connections: [ID!]!) {
      sendMessage(input: $input) {
        messageEdge @appendEdge(connections: $connections) {
          cursor
          node {
            id
            content(maxChars: 80)
          }
        }
        conversation {
          id
          messageCount
        }
        userErrors {
          message
        }
      }
    }
  `);
  const { id, messageCount, messages } = data;
  const input = { conversationId: id, content: 'And for nine people?' };
  return (
    <>
      {hasPrevious && <button name="earlier" onClick={() => loadPrevious(3)} />}
      <output>{messageCount}</output>
      <ol>
        {messages.edges.map(({ node }) => (
          <li key={node.id} id={node.id}>
            {node.content}
          </li>
        ))}
      </ol>
      <button name="send" onClick={() => send({ variables: { input, connections: [messages.__id] } })} />
    </>
  );
}
