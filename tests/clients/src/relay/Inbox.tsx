import { graphql, useFragment, useLazyLoadQuery, useMutation, usePaginationFragment } from 'react-relay';

import type { InboxBeginMutation } from './__generated__/InboxBeginMutation.graphql.ts';
import type { InboxDeleteMutation } from './__generated__/InboxDeleteMutation.graphql.ts';
import type { InboxNextQuery } from './__generated__/InboxNextQuery.graphql.ts';
import type { InboxQuery } from './__generated__/InboxQuery.graphql.ts';
import type { Inbox_query$key } from './__generated__/Inbox_query.graphql.ts';
import type { Inbox_row$key } from './__generated__/Inbox_row.graphql.ts';

export function Inbox() {
  const query = useLazyLoadQuery<InboxQuery>(
    graphql`
      query InboxQuery {
        ...Inbox_query
      }
    `,
    {},
  );
  return <Conversations query={query} />;
}

function Conversations(props: { query: Inbox_query$key }) {
  const { data, hasNext, loadNext } = usePaginationFragment<InboxNextQuery, Inbox_query$key>(
    graphql`
      fragment Inbox_query on Query
      @argumentDefinitions(first: { type: "Int", defaultValue: 3 }, after: { type: "String" })
      @refetchable(queryName: "InboxNextQuery") {
        conversations(first: $first, after: $after) @connection(key: "Inbox_conversations") {
          __id
          edges {
            node {
              id
              ...Inbox_row
            }
          }
        }
      }
    `,
    props.query,
  );
  const [begin] = useMutation<InboxBeginMutation>(graphql`
    mutation InboxBeginMutation($title: String!, $key: String!, $connections: [ID!]!) {
      createConversation(input: { title: $title }) @idempotent(key: $key) {
        conversation @prependNode(connections: $connections, edgeTypeName: "ConversationEdge") {
          id
          ...Inbox_row
        }
        userErrors {
          message
        }
      }
    }
  `);
  const { conversations } = data;
  if (!conversations) return <p>You have no conversations of your own.</p>;
  const connections = [conversations.__id];
  const onBegin = () => begin({ variables: { title: 'Recipe: soup', key: crypto.randomUUID(), connections } });
  return (
    <>
      <button name="begin" onClick={onBegin} />
      <ul>
        {conversations.edges.map(({ node }) => (
          <Row key={node.id} conversation={node} connections={connections} />
        ))}
      </ul>
      {hasNext && <button name="more" onClick={() => loadNext(3)} />}
    </>
  );
}

function Row(props: { conversation: Inbox_row$key; connections: string[] }) {
  const conversation = useFragment(
    graphql`
      fragment Inbox_row on Conversation {
        id
        title
        viewerCanDelete
      }
    `,
    props.conversation,
  );
  const [remove] = useMutation<InboxDeleteMutation>(graphql`
    mutation InboxDeleteMutation($id: ID!, $connections: [ID!]!) {
      deleteConversation(input: { id: $id }) {
        deletedId @deleteEdge(connections: $connections)
        userErrors {
          message
        }
      }
    }
  `);
  const { id, title, viewerCanDelete } = conversation;
  const onDelete = () => remove({ variables: { id, connections: props.connections } });
  return (
    <li id={id}>
      {title}
      {viewerCanDelete && <button name="delete" onClick={onDelete} />}
    </li>
  );
}
